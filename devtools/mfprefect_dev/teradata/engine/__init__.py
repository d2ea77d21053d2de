"""The emulated server: sessions, transactions and SQLite files."""
