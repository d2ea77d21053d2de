"""The audit trail and the seals: recording, digesting, verifying."""
