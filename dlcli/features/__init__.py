"""The output of a pretrained network for each image, computed once and kept on disk."""
