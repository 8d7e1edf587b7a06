"""A run on disk: its store, its best architectures, and the function that opens it."""

from nas_search.runs.run import Run, open_run, runs_in

__all__ = ["Run", "open_run", "runs_in"]
