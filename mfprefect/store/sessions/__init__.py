"""Sessions in the database: opened, written to and ended."""
