"""The book of layers: one file per kind, with everything that the engine must know of it."""
