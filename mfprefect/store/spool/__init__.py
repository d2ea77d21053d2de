"""Between the spool on disk and the database: opening in it, delivery from it."""
