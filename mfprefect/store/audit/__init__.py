"""The audit trail and the seals: what is recorded, digested and verified."""
