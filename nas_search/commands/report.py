"""``python -m nas_search.report PATH``: the page of a search, a sweep, a ranking or a training."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import NoReturn

PORT = 8420


def main(arguments: list[str] | None = None) -> NoReturn:
    """Write ``report.html`` into a folder, or serve it.

    The exit code is 0, 2 where the folder holds nothing to show, 1 where the disk or the port
    refuses, and 130 after Ctrl-C.
    """
    given = report_parser().parse_args(arguments)

    from nas_search.commands.plugins import import_plugins
    from nas_search.core.errors import InputError, RunError

    try:
        import_plugins(given.plugin)
        if given.study is not None and given.to_optuna is None:
            raise InputError("--study names a study of Optuna's: it needs --to-optuna URL")
        if given.serve:
            _serve(given)
        elif given.to_optuna is not None:
            _copy(given)
        else:
            _write(given.path)
    except InputError as error:
        print(f"nas_search: {error}", file=sys.stderr)
        sys.exit(2)
    except (RunError, OSError) as error:
        print(f"nas_search: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def report_parser() -> argparse.ArgumentParser:
    """Return what reads the command's line."""
    parser = argparse.ArgumentParser(
        prog="python -m nas_search.report",
        description="One HTML file that shows a search, a sweep, a ranking or a training: it opens "
        "from disk and asks nothing of any network.",
        epilog="The exit code is 0, 2 where the folder holds nothing to show, and 1 where the disk "
        "or the port refuses.",
    )
    parser.add_argument("path", help="the folder, e.g. outputs/2026-11-28/17-00-00")
    parser.add_argument(
        "--serve",
        action="store_true",
        help="show it in a browser and keep it up to date while it runs; nothing is written",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"with --serve, default {PORT}; 0 takes a free one"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="with --serve, default 127.0.0.1: this machine alone; 0.0.0.0 lets everybody see it "
        "who can reach this machine",
    )
    parser.add_argument(
        "--to-optuna",
        metavar="URL",
        help="copy the evaluations of a search, or of each of a sweep, into a storage of Optuna's, "
        "e.g. sqlite:///trials.db; repeated, it adds what is new; no page is written",
    )
    parser.add_argument(
        "--study",
        metavar="NAME",
        help="with --to-optuna, name of the study; by default the last two parts of the folder",
    )
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="module to import first, where the run's search space comes from one; a folder may "
        "come from a stranger, so those that it names are not imported by themselves",
    )
    return parser


def _write(path: str) -> None:
    from nas_search.commands.pages import page_of
    from nas_search.core.files import user_path
    from nas_search.pages.page import write_page

    folder = user_path(path).absolute()
    print(write_page(folder, page_of(folder)))


def _copy(given: argparse.Namespace) -> None:
    from nas_search.commands.to_optuna import copy_to_optuna
    from nas_search.core.files import user_path

    folder = user_path(given.path).absolute()
    for one in copy_to_optuna(folder, given.to_optuna, given.study):
        known = f", {one.known:,} were there" if one.known else ""
        print(f"study {one.study}: {one.new:,} trials are new{known}", flush=True)
    print(f"to look at them: optuna-dashboard {shlex.quote(given.to_optuna)}")


def _serve(given: argparse.Namespace) -> None:
    from nas_search.commands.pages import page_of
    from nas_search.core.errors import InputError
    from nas_search.core.files import user_path
    from nas_search.pages.serve import server

    if not 0 <= given.port <= 65535:
        raise InputError(f"--port {given.port} must be between 0 and 65535")
    folder = Path(user_path(given.path)).absolute()
    page_of(folder)  # a folder that holds nothing is refused at once
    try:
        listening = server(folder, lambda live: page_of(folder, live), given.host, given.port)
    except OSError as error:
        raise OSError(
            f"cannot listen on {given.host} port {given.port} ({error.strerror}); choose another "
            "--port"
        ) from None
    with listening:
        name = f"[{given.host}]" if ":" in given.host else given.host
        print(f"http://{name}:{listening.server_address[1]}/  (Ctrl-C ends it)", flush=True)
        listening.serve_forever()
