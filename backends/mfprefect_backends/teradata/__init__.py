"""Teradata, through teradatasql and a repaired teradatasqlalchemy."""

from mfprefect_backends.teradata.backend import TeradataBackend

__all__ = ["TeradataBackend"]
