"""What every command shares: where the configuration lies, and how to end in one line."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nas_search.commands.help import BASE, register_help
from nas_search.commands.reading import renamed
from nas_search.core.errors import InputError, RunError
from nas_search.core.garbage import keep_imports

# In a wheel the configuration lies inside the package, in a checkout beside it.
_PACKAGE = Path(__file__).parent.parent
_PLACES = (_PACKAGE / "conf", _PACKAGE.parent / "conf")
CONF = next((str(place) for place in _PLACES if place.is_dir()), str(_PLACES[0]))


def one_line(error: Exception, command: str) -> str:
    """Return what ``error`` means for a person who typed ``python -m command ...``."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}; choose another hydra.run.dir"
    text = str(error)
    unknown = re.search(r"Could not (?:find|load) '([^']+)/([^'/]+)'", text)
    options = re.search(r"Available options in '[^']+':\n((?:\t.+\n?)+)", text)
    if unknown and options:
        group, name = unknown[1], unknown[2]
        possible = ", ".join(option for option in options[1].split() if option != BASE)
        refusal = ranks_only(name) if group == "proxy" else ""
        return refusal or f"unknown {group} '{name}'; possible: {possible}"
    key = re.search(r"Could not override '([^']+)'", text)
    if key:
        unknown_key = f"unknown key '{key[1]}'; see python -m {command} --help for the keys"
        return renamed(key[1]) or unknown_key
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def ranks_only(name: str) -> str:
    """Return why an aggregate of ranks cannot be ``proxy=name``; empty for all other names."""
    from nas_search.ranking.aggregates import AGGREGATES

    if name not in AGGREGATES.names():
        return ""
    members = AGGREGATES.get(name).members
    how = f"proxies=[{name}]" if members else "aggregates={mine: [NAME, NAME]}"
    return (
        f"proxy={name} ranks candidates against each other: it has no score for one candidate, as "
        "a search needs; choose a single score, or rank the architectures of a table by it: "
        f"python -m nas_search.rank '{how}'"
    )


class Command:
    """A command of Hydra's: what goes wrong in it becomes one line and an exit code.

    Args:
        name: what a person types after ``python -m``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._exit_code = 0
        self._composed = False

    @contextmanager
    def job(self) -> Iterator[None]:
        """Around one job: a sweep goes on with the next one when this one fails."""
        self._composed = True
        keep_imports()
        try:
            yield
        except OmegaConfBaseException as error:
            self._fail(InputError(str(error)))
        except (InputError, RunError, OSError) as error:
            self._fail(error)

    def main(self, command: Callable[[], Any]) -> NoReturn:
        """Call Hydra's ``command``; exit with 0, 2 (bad input) or 1 (failure or Ctrl-C)."""
        self._exit_code, self._composed = 0, False
        # Threads of OpenMP that wait shall sleep: on a busy machine spinning ones take the time of
        # those they wait for. OpenMP reads this once, when torch is imported: later than here.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed as traces
        register_help()

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, interrupt)
        try:
            command()
        except KeyboardInterrupt:
            print("nas_search: interrupted", file=sys.stderr)
            sys.exit(1)
        except OmegaConfBaseException as error:
            self._fail(InputError(str(error)))
        except (HydraException, OSError) as error:
            self._fail(error)
        except ValueError as error:
            if self._composed:  # a defect of ours
                raise
            self._fail(InputError(str(error)))  # e.g. search_space=null
        sys.exit(self._exit_code)

    def _fail(self, error: Exception) -> None:
        """Print what went wrong in one line, in one process of many; remember the exit code."""
        if os.environ.get("RANK", "0") == "0":
            print(f"nas_search: {one_line(error, self._name)}", file=sys.stderr)
        code = 2 if isinstance(error, InputError | HydraException) else 1
        self._exit_code = max(self._exit_code, code)
