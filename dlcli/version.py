"""The version of `dl`."""

__version__ = "0.2.0"
