"""Notifications about sessions: content, recipients, delivery and retries."""
