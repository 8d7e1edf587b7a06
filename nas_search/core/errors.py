"""The two ways a command can end badly; every message is one line that says what and what to do."""


class InputError(ValueError):
    """What the user asked for cannot be done as written (bad value, missing file); exit code 2."""


class RunError(RuntimeError):
    """Something outside the request failed while running (full disk, broken store); exit code 1."""
