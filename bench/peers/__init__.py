"""Other programs for the same question, to compare with."""
