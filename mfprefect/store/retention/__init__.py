"""Deleting, pruning, archiving and restoring sessions."""
