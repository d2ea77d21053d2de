"""What other projects and the tests of mfprefect reuse; nothing here imports pytest by itself."""
