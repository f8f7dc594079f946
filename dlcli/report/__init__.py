"""Pages and pictures: of a run, of several compared, of the ladder."""
