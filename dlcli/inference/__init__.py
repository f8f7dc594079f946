"""A trained run in use: its predictions, photos from anywhere, exports."""
