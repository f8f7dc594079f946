"""Kaggle competitions: their data, submissions and scores."""
