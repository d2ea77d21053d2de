"""Scores in the database: write, read, aggregate, compare and export."""
