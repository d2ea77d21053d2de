"""The methods of `Store`, by subject."""
