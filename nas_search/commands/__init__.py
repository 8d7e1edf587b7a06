"""The commands: search, rank and train, from a typed configuration to files."""
