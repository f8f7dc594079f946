"""A rating run's report: its evaluation, page and figures, and what it learned about items."""
