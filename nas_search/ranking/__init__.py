"""How well scores rank trained architectures."""
