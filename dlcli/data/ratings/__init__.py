"""Datasets of ratings: users, items, and how much each user liked some of them."""
