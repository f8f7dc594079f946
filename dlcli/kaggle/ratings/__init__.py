"""A submission of predicted ratings."""
