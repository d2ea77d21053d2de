"""The backends that come with mfprefect; each is found by its entry point."""
