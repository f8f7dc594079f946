"""Several runs for one question: the ladder, ensembles, the search for a learning rate."""
