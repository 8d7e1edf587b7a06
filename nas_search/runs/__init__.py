"""What a run leaves on disk: its store, the architectures that it found, and how to open it."""

from nas_search.runs.run import Run, open_run

__all__ = ["Run", "open_run"]
