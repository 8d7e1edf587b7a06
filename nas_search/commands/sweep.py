"""``python -m nas_search.sweep FOLDER``: the table of a sweep that has ended, or is running."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Print the jobs of a sweep and write them to its ``sweep.csv``.

    The exit code is 0 where all jobs have ended well, 3 while some are missing, 1 if one failed,
    and 2 where the folder is not that of a sweep.
    """
    parser = argparse.ArgumentParser(
        prog="python -m nas_search.sweep",
        description="One table of the searches of a sweep (python -m nas_search -m ...): what "
        "differs, what became of each, what they found; also while it runs.",
        epilog="The exit code is 0 where all jobs have ended well, 1 if one failed, 3 while some "
        "are missing, and 2 where the folder is not that of a sweep.",
    )
    parser.add_argument("folder", help="its folder, e.g. outputs/multirun/2026-11-28/17-00-00")
    folder = parser.parse_args(arguments).folder

    from nas_search.commands.screen import screen
    from nas_search.commands.sweep_report import print_sweep, write_sweep
    from nas_search.core.errors import InputError
    from nas_search.core.files import user_path

    sweep = Path(user_path(folder))
    try:
        jobs = print_sweep(sweep, screen())
        write_sweep(sweep, jobs)
    except InputError as error:
        print(f"nas_search: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"nas_search: cannot write {sweep / 'sweep.csv'}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    statuses = {job.status for job in jobs}
    sys.exit(1 if "failed" in statuses else 3 if statuses - {"finished"} else 0)
