"""Pixels: decoding and resizing pictures, changing them at random."""
