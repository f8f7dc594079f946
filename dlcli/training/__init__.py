"""From a recipe and a dataset to a finished run, and resuming after a stop."""
