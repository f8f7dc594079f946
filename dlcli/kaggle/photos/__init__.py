"""A submission of probabilities for the test images of a competition."""
