"""Experiments of several runs: the ladder, ensembles, the learning-rate finder."""
