"""Reading a model's inputs: files, frames, and SQL of named sources, each read recorded."""
