"""Results of sessions, read back: frames, report content, inputs of monitoring and checks."""
