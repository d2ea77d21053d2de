"""The emulated server: sessions, transactions and what they store in SQLite files."""
