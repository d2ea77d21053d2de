"""The pages, a module for each: it reads what it needs, and returns an answer."""
