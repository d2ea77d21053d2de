"""Pages and an API over a store."""
