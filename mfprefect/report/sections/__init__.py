"""The sections of a report, built from the data that the store gathered."""
