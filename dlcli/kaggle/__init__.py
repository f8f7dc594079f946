"""Competitions: their data, what is submitted, what came of it."""
