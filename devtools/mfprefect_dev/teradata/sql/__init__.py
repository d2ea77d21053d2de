"""The grammar: reads a request and says what SQLite is to do for it."""
