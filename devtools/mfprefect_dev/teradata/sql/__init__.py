"""The grammar: translates a request into SQLite's statements."""
