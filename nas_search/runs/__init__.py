"""What a run leaves on disk: its store, the architectures that it found."""
