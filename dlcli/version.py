"""The version of `dl`."""

__version__ = "0.1.0"
