"""Notifications: the text of a notice, and its delivery through apprise."""
