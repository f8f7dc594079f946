"""Datasets as folders: reading them, choosing one, moving files within them."""
