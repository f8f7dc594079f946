"""Training on ratings."""
