"""A trained run on ratings in use."""
