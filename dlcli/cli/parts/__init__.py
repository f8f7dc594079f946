"""What the commands are made of: options, help, completion, tables, questions."""
