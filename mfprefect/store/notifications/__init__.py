"""Which notices go to whom, and what was sent."""
