"""The databases that mfprefect brings along; each is found by its entry point."""
