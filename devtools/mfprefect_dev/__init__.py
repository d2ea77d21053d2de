"""What only the tests of mfprefect itself need: private servers and an emulated Teradata."""
