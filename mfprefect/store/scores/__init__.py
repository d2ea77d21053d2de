"""Scores in the database: written, read, counted, compared and exported."""
