"""One writer at a time in a folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nas_search.core.errors import RunError


class Lock:
    """Held until :meth:`close`, or until this process ends, however it ends.

    Args:
        path: the file that is locked; made if missing.

    Raises:
        RunError: another process holds it, or the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        refuse_link(path)
        try:
            self._connection = sqlite3.connect(path, timeout=0)
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise RunError(
                    f"another process is running in {path.parent}; "
                    "wait for it or choose another hydra.run.dir"
                ) from None
            raise cannot_write(path, error) from error
        except sqlite3.DatabaseError as error:
            raise RunError(f"{path} is no lock ({error}); delete it") from error

    def close(self) -> None:
        """Let others in."""
        self._connection.close()


def refuse_link(path: Path) -> None:
    """Refuse to write to a file through a symbolic link.

    Raises:
        RunError: it is one.
    """
    if path.is_symlink():
        raise RunError(
            f"{path} is a symbolic link, which is not written through; delete it or choose another "
            "hydra.run.dir"
        )


def cannot_write(path: Path, error: Exception) -> RunError:
    """Return what an error of SQLite's means where a file cannot be written."""
    if "full" in str(error) or "disk I/O" in str(error):
        return RunError(
            f"the disk refuses to write {path} ({error}); "
            "free space and repeat the command: it continues"
        )
    return RunError(f"cannot write {path} ({error}); choose a writable hydra.run.dir")
