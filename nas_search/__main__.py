"""``python -m nas_search``: one search, composed by Hydra."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from nas_search.errors import InputError, RunError

# In a wheel the configuration lies inside the package, in a checkout beside it.
_PLACES = (Path(__file__).parent / "conf", Path(__file__).parent.parent / "conf")
CONF = next((str(place) for place in _PLACES if place.is_dir()), str(_PLACES[0]))

_exit_code = 0


@hydra.main(config_path=CONF, config_name="config", version_base="1.3")
def _command(config: DictConfig) -> None:
    """Run one job; a sweep goes on with the next one when this one fails."""
    from nas_search.config import read_config
    from nas_search.run import run_search

    try:
        directory = Path(HydraConfig.get().runtime.output_dir)
        outcome = run_search(read_config(config), directory, Console())
    except OmegaConfBaseException as error:
        _fail(InputError(str(error)))
    except (InputError, RunError, OSError) as error:
        _fail(error)
    else:
        if outcome.stop == "interrupted" and HydraConfig.get().mode == RunMode.MULTIRUN:
            raise KeyboardInterrupt  # Ctrl-C ends the whole sweep, not this job alone


def _fail(error: Exception) -> None:
    """Say what went wrong in one line and remember the exit code."""
    global _exit_code
    _exit_code = max(_exit_code, 2 if isinstance(error, InputError | HydraException) else 1)
    print(f"nas_search: {_one_line(error)}", file=sys.stderr)


def _one_line(error: Exception) -> str:
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
        return f"unknown key '{key[1]}'; see python -m nas_search --help for the keys"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def main() -> None:
    """Run the command; exit code 0, 2 (bad input) or 1 (failure)."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed as traces

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        _command()
    except KeyboardInterrupt:
        print("nas_search: interrupted", file=sys.stderr)
        sys.exit(1)
    except (HydraException, OmegaConfBaseException) as error:
        _fail(error if isinstance(error, HydraException) else InputError(str(error)))
    except OSError as error:
        _fail(error)
    except ValueError as error:
        if HydraConfig.initialized():  # the configuration was composed: a defect of ours
            raise
        _fail(InputError(str(error)))  # e.g. search_space=null
    sys.exit(_exit_code)


if __name__ == "__main__":
    main()
