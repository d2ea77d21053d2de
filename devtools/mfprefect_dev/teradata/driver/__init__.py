"""The driver's interface in front of the emulated server."""
