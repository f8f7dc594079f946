"""Metrics, significance tests, diagnosis and clipping of predictions; NumPy only."""
