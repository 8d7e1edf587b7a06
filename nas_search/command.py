"""What every command shares: where the configuration lies, and how to end in one line."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nas_search.errors import InputError

# In a wheel the configuration lies inside the package, in a checkout beside it.
_PLACES = (Path(__file__).parent / "conf", Path(__file__).parent.parent / "conf")
CONF = next((str(place) for place in _PLACES if place.is_dir()), str(_PLACES[0]))


def say_failure(error: Exception, command: str) -> int:
    """Say what went wrong in one line; return the exit code, 2 (bad input) or 1 (failure)."""
    print(f"nas_search: {one_line(error, command)}", file=sys.stderr)
    return 2 if isinstance(error, InputError | HydraException) else 1


def one_line(error: Exception, command: str) -> str:
    """Return what ``error`` means for a person who typed ``python -m command ...``."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}; choose another hydra.run.dir"
    text = str(error)
    unknown = re.search(r"Could not (?:find|load) '([^']+)/([^'/]+)'", text)
    options = re.search(r"Available options in '[^']+':\n((?:\t.+\n?)+)", text)
    if unknown and options:
        possible = ", ".join(options[1].split())
        return f"unknown {unknown[1]} '{unknown[2]}'; possible: {possible}"
    key = re.search(r"Could not override '([^']+)'", text)
    if key:
        return f"unknown key '{key[1]}'; see python -m {command} --help for the keys"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def run(command: Callable[[], Any], fail: Callable[[Exception], None]) -> None:
    """Call a Hydra command; what it raises on the way to its job is told to ``fail``.

    Exits with code 1 on Ctrl-C.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed as traces

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        command()
    except KeyboardInterrupt:
        print("nas_search: interrupted", file=sys.stderr)
        sys.exit(1)
    except (HydraException, OmegaConfBaseException) as error:
        fail(error if isinstance(error, HydraException) else InputError(str(error)))
    except OSError as error:
        fail(error)
    except ValueError as error:
        if HydraConfig.initialized():  # the configuration was composed: a defect of ours
            raise
        fail(InputError(str(error)))  # e.g. search_space=null
