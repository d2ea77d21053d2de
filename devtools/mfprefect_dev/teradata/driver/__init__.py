"""The driver's interface to the emulated server."""
