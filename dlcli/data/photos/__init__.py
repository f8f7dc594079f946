"""Datasets of photos: read them, organise downloads, split, take samples."""
