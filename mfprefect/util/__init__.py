"""Helpers that know nothing of models, sessions or databases."""
