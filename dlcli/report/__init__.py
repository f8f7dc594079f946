"""Report pages and figures: of a run, of several runs, and of the ladder."""
