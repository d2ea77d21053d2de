"""What sessions produced, read back: frames, reports, what monitoring compares."""
