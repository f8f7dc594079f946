"""Run directories: one run, choosing one, lists, settings, disk."""
