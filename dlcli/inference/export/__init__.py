"""A run's model in other formats, with a description of its input."""
