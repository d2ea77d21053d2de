"""Keyed queries for those who leaf through a large store: each reads a bounded number of rows."""
