"""From a recipe and a dataset to a finished run, and going on after a stop."""
