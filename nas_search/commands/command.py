"""What every command shares: where the configuration lies, how it starts, and how it ends."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TextIO

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas_search.commands.help import register_help
from nas_search.commands.messages import one_line
from nas_search.commands.run_folder import forget_sweep, remove_if_new, sweep_folder
from nas_search.commands.sweep_jobs import begun, digest_of, is_finished, write_note
from nas_search.commands.typed import gathered, readable_by_hydra
from nas_search.core.errors import InputError, RunError
from nas_search.core.memory import is_out_of_memory

# In a wheel the configuration lies inside the package, in a checkout beside it.
_PACKAGE = Path(__file__).parent.parent
_PLACES = (_PACKAGE / "conf", _PACKAGE.parent / "conf")
CONF = next((str(place) for place in _PLACES if place.is_dir()), str(_PLACES[0]))

READER_IS_GONE = 141
"""Exit code of a command whose output nobody reads any more: that of a program ended by SIGPIPE."""

LAUNCHERS = ("joblib", "submitit")
"""Packages that run the jobs of a sweep in other processes."""

_REPORTED = "nas_search_reported"
"""Attribute of an error whose line has been printed, by this process or that of a sweep's job."""


class Command:
    """A command of Hydra's: what goes wrong in it becomes one line and an exit code.

    Args:
        name: what a person types after ``python -m``; its last part names the command's file in
            ``conf/``, which is ``config`` for the search.
        after_sweep: called with the folder of a sweep when all its jobs have ended.
        bare: key of the list that arguments without a key go into; empty where there is none.
    """

    def __init__(
        self, name: str, after_sweep: Callable[[Path], None] | None = None, bare: str = ""
    ) -> None:
        self._name = name
        self._bare = bare
        self._config = name.partition(".")[2] or "config"
        self._after_sweep = after_sweep
        self._reset()

    def _reset(self) -> None:
        self._exit_code = 0
        self._directory: Path | None = None
        self._typed: list[str] = []
        self._folder = ("hydra.run.dir", Path())
        self._signal = signal.SIGINT

    def is_finished(self, config: DictConfig) -> bool:
        """Whether a job has ended well when its sweep ran before; if so, say it."""
        hydra = HydraConfig.get()
        if hydra.mode != RunMode.MULTIRUN:
            return False
        finished = is_finished(Path(hydra.sweep.dir), int(hydra.job.num), config)
        if finished:
            print(f"job {hydra.job.num} is finished: {hydra.runtime.output_dir}")
        return finished

    @contextmanager
    def job(self, config: DictConfig | None = None) -> Iterator[Path]:
        """Around one job, with the folder of its run: a sweep goes on when one fails.

        Hydra sees the failure too, and so do its callbacks. With a ``config``, what becomes of the
        job is noted in the folder of its sweep.
        """
        sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        noted = self._noted(config) if config is not None and sweep else nullcontext()
        with noted, self._one_line() as directory:
            yield directory

    @contextmanager
    def _noted(self, config: DictConfig) -> Iterator[None]:
        hydra = HydraConfig.get()
        sweep, number = Path(hydra.sweep.dir), int(hydra.job.num)
        overrides = list(map(str, hydra.overrides.task))
        note = begun(number, str(hydra.sweep.subdir), overrides, digest_of(config))
        write_note(sweep, note)
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            how = "interrupted" if stopped else "failed"
            reason = "" if stopped else one_line(_an_error(error), self._name, Path(CONF), "config")
            write_note(sweep, replace(note, status=how, reason=reason))
            raise
        write_note(sweep, replace(note, status="finished"))

    @contextmanager
    def _one_line(self) -> Iterator[Path]:
        """Around a job: its errors become one line."""
        hydra = HydraConfig.get()
        self._directory = Path(hydra.runtime.output_dir)
        self._folder = ("hydra.run.dir", self._directory)
        if hydra.mode == RunMode.MULTIRUN:
            self._folder = ("hydra.sweep.dir", Path(hydra.sweep.dir))
        try:
            yield self._directory
        except OmegaConfBaseException as error:
            refusal = InputError(str(error))
            self._fail(refusal)
            raise refusal from None
        except (InputError, RunError, OSError) as error:
            if not _reader_is_gone(error):
                self._fail(error)
            raise
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):  # a defect of ours
                raise
            failure = RunError(
                "memory ran out; use fewer executor.workers, fewer or smaller images, or a smaller "
                "network, and repeat the command: it continues"
            )
            self._fail(failure)
            raise failure from None
        finally:
            remove_if_new(self._directory)

    def main(self, command: Callable[[], Any]) -> NoReturn:
        """Call Hydra's ``command`` and exit.

        The exit code is 0, 2 (bad input), 1 (failure), 130 (Ctrl-C), 143 (SIGTERM) or 141 (whoever
        read the output has gone).
        """
        self._reset()
        forget_sweep()
        self._typed = sys.argv[1:]
        # Threads of OpenMP that wait shall sleep: on a busy machine spinning ones take the time of
        # those they wait for. OpenMP reads this once, when torch is imported: later than here.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed as traces
        register_help()

        def interrupt(number: int, _: Any) -> None:
            self._signal = signal.Signals(number)
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, interrupt)
        for stream in (sys.stdout, sys.stderr):  # a name may have letters that a terminal has not
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            self._run(command)
            self._report_sweep()
            sys.stdout.flush()
        except BrokenPipeError:
            _silence(sys.stdout)
            self._exit_code = READER_IS_GONE
        sys.exit(self._exit_code)

    def _run(self, command: Callable[[], Any]) -> None:
        try:
            groups = {folder.name for folder in Path(CONF).iterdir() if folder.is_dir()}
            arguments = gathered(self._typed, self._bare) if self._bare else self._typed
            sys.argv[1:] = readable_by_hydra(arguments, groups)
            command()
        except SystemExit as ended:  # after --help, and after flags that do not exist
            self._exit_code = int(ended.code or 0)
        except KeyboardInterrupt:
            how = f"; to continue: {self.continuing()}" if self._directory else ""
            print(f"nas_search: interrupted{how}", file=sys.stderr)
            self._exit_code = 128 + self._signal
        except OmegaConfBaseException as error:
            self._fail(InputError(str(error)))
        except (HydraException, InputError, RunError, OSError) as error:
            if _reader_is_gone(error):
                raise
            self._fail(error)
        except Exception as error:
            if self._directory:  # a defect of ours
                raise
            if type(error).__module__.startswith(LAUNCHERS):  # a job's process was killed
                self._fail(
                    RunError(f"a job of the sweep ended without a word ({error}); repeat it")
                )
                return
            # Hydra's, of a dozen types, about what was typed: search_space=null, benchmark=[1]
            self._fail(InputError(str(error)))

    def _report_sweep(self) -> None:
        sweep = sweep_folder()
        if self._after_sweep is None or sweep is None or self._exit_code >= 128:
            return
        try:
            self._after_sweep(sweep)
        except (InputError, RunError) as error:  # somebody wrote into its folders
            self._fail(error)

    def continuing(self) -> str:
        """Return the command line that continues the run, folder included."""
        key, folder = self._folder
        if folder.is_absolute() and folder.is_relative_to(Path.cwd()):
            folder = folder.relative_to(Path.cwd())
        there = shlex.quote(f"{key}={folder}")
        if "TORCHELASTIC_RUN_ID" in os.environ:
            return f"the torchrun command again, with {there}"
        arguments = [one for one in self._typed if not one.startswith(f"{key}=")]
        return " ".join([self._started(), *map(shlex.quote, arguments), there])

    def _started(self) -> str:
        """Return how the command was started, up to its arguments."""
        if Path(sys.argv[0]).stem == "nas-search":
            return "nas-search"
        count = len(sys.orig_argv) - len(self._typed)
        as_typed = sys.orig_argv[count:] == self._typed and "-m" in sys.orig_argv[:count]
        return shlex.join(sys.orig_argv[:count]) if as_typed else f"python -m {self._name}"

    def _fail(self, error: Exception) -> None:
        """Print what went wrong in one line, in one process of many; remember the exit code."""
        if os.environ.get("RANK", "0") == "0" and not hasattr(error, _REPORTED):
            line = one_line(error, self._name, Path(CONF), self._config)
            advice = isinstance(error, RunError) and "repeat" in line
            if advice and not self._folder_is_typed():
                line += f" (to continue: {self.continuing()})"
            print(f"nas_search: {line}", file=sys.stderr)
        setattr(error, _REPORTED, True)
        code = 2 if isinstance(error, InputError | HydraException) else 1
        self._exit_code = max(self._exit_code, code)

    def _folder_is_typed(self) -> bool:
        """Whether the same command finds the run again; otherwise the clock named its folder."""
        return any(argument.startswith(f"{self._folder[0]}=") for argument in self._typed)


def _an_error(error: BaseException) -> Exception:
    """Return what failed with the name of its type, where that is not ours."""
    if isinstance(error, InputError | RunError | OSError):
        return error
    return RunError(f"{type(error).__name__}: {error}")


def _reader_is_gone(error: BaseException) -> bool:
    """Whether nobody reads the output any more, as after ``| head``."""
    if not isinstance(error, BrokenPipeError):
        return False
    try:
        print(flush=True)
    except BrokenPipeError:
        return True
    return False  # a pipe to something else, as to a worker


def _silence(stream: TextIO) -> None:
    """Send what is left to nowhere; Python flushes once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
