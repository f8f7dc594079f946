"""Speed and accuracy, measured: each module here is one question, answered as a table."""
