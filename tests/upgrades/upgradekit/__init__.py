"""Histories of earlier versions: how they are made, kept, loaded and read."""
