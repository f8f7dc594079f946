"""Decode, resize and augment images."""
