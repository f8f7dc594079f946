"""What predictions are worth: metrics, chance, diagnosis, clipping; NumPy alone."""
