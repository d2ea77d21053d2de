"""The sections of a report, one module each, from the facts that the store gathered."""
