"""Tools for the tests and lint of mfprefect itself; no wheel contains them."""
