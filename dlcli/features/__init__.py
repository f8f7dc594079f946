"""What a pretrained network sees in each image, computed once and kept on disk."""
