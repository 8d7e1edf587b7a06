"""The two errors that end a command; every message is one line: the problem and the remedy."""


class InputError(ValueError):
    """The request cannot be carried out as written (bad value, missing file); exit code 2."""


class RunError(RuntimeError):
    """Something outside the request failed at run time (full disk, broken store); exit code 1."""
