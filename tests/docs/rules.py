"""What is checked of a command of the pages, by the program that it starts.

The package's own are composed and read as they are in earnest, up to where computing begins;
studies and benchmarks parse their options; the rest is listed here, each with the reason why no
more is done.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import re
import runpy
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tomli
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from packaging.requirements import Requirement

from nas_search.data import DATASETS, DatasetRecord
from tests.docs.shell import REPOSITORY, Command

ELSEWHERE = {
    "python -m venv": "makes an environment, which tests/test_installed.py does",
    "python -m pytest": "these tests",
    "python model.py": "runs what a search leaves: tests/test_your_pictures.py",
    "python program.py": "runs what a search leaves: tests/test_your_pictures.py",
    "source": "of the environment",
    "cp": "of what a search leaves: tests/test_your_pictures.py",
    "pre-commit": "needs a network",
    "ruff": "of .ci/run",
    "mypy": "of .ci/run",
    "mkdocs": "of .ci/run",
    ".ci/run": "runs these tests",
    "apt-get": "of .ci/run, where it runs as root",
    "dask": "tests/commands/test_dask_search.py starts scheduler and workers",
    "ssh": "needs another machine",
    "wandb sync": "needs an account",
    "tensorboard": "shows what a run has told it",
    "optuna-dashboard": "shows what a run has told it",
    "wandb": "needs an account",
    "docker": "needs Docker and a registry",
    "helm": "needs a Kubernetes cluster",
    "kubectl": "needs a Kubernetes cluster; tests/test_cluster_files.py reads the file",
}
"""Commands by how they begin, and why they are not run."""
DOWNLOADED = ("cifar10", "cifar100", "fashion_mnist")
BESIDE = {"torch", "pillow", "numpy", "pre-commit"}
"""Packages that the pages install by themselves, beside those that pyproject.toml names."""


class _Read(BaseException):
    """Raised instead of computing: the command has been read to its end."""


def check(command: Command, patch: pytest.MonkeyPatch) -> None:
    """Read a command as the program that it starts would, without what takes long.

    Raises:
        AssertionError: the program refuses it, or nothing is known of such a command.
    """
    program, *arguments = command
    program = program.removeprefix(".venv/bin/")
    if program in ("python", "python3"):
        _python(arguments, patch)
    elif program == "nas-search":
        _ours("nas_search", arguments, patch)
    elif program == "torchrun":
        at = arguments.index("-m")
        assert re.fullmatch(r"--nproc-per-node \d+", " ".join(arguments[:at])), command
        _python(arguments[at:], patch)
    elif program == "sbatch":
        file, *overrides = arguments
        assert (REPOSITORY / file).is_file(), command
        _ours("nas_search", overrides, patch)
    elif program == "pip":
        _installed(arguments)
    elif program == "studies/study.sh":
        script = (REPOSITORY / program).read_text(encoding="utf-8")
        for part in arguments[3:]:
            assert re.search(rf"^    (?:\w+ \| )*{part}(?: \| \w+)*\)", script, re.MULTILINE), part
    else:
        _listed(program, command)


def _listed(start: str, command: Command) -> None:
    assert start in ELSEWHERE, (
        f"nothing is known of {' '.join(command)!r}: tests/docs/rules.py says how a command of the "
        "docs is checked; add a rule, or the reason why there is none"
    )


def _python(arguments: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    if arguments[0] != "-m":
        file = arguments[0]
        if file.startswith("examples/"):
            _example(file, arguments[1:], patch)
        else:
            _listed(f"python {file.rsplit('/', 1)[-1]}", ("python", *arguments))
        return
    module, *rest = arguments[1:]
    if module.partition(".")[0] == "nas_search":
        _ours(module, rest, patch)
    elif module.partition(".")[0] in ("studies", "benchmarks", "tests"):
        _parsed(module, rest, patch)
    elif module == "pip":
        _installed(rest)
    else:
        _listed(f"python -m {module}", ("python", "-m", *arguments[1:]))


def _installed(arguments: Sequence[str]) -> None:
    """Check that extras exist, and that other packages are ones that we name."""
    project = tomli.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    named = [*project["dependencies"], *(one for extra in extras.values() for one in extra)]
    known = BESIDE | {Requirement(one).name for one in named}
    assert arguments[0] == "install", arguments
    for word in arguments[1:]:
        if word in ("-e", "-q"):
            continue
        if ours := re.fullmatch(r"\.(?:\[([\w,]+)\])?", word):
            assert set((ours[1] or "test").split(",")) <= set(extras), word
        else:
            assert Requirement(word).name in known, word


def _parsed(module: str, arguments: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Start a module of the repository up to where its options are parsed.

    One that parses none takes either nothing, or file names alone.
    """
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, module
    source = Path(spec.origin).read_text(encoding="utf-8")
    if "parse_args()" in source:
        with _until_parsed(patch, module, arguments):
            importlib.import_module(module).main()
    else:
        assert '"__main__"' in source, f"{module} is no command"
        assert not [one for one in arguments if one.startswith("-")], arguments
        assert not arguments or "sys.argv" in source, f"{module} takes nothing, not {arguments}"


def _example(file: str, arguments: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    with _until_parsed(patch, file, arguments):
        runpy.run_path(str(REPOSITORY / file), run_name="__main__")


@contextmanager
def _until_parsed(patch: pytest.MonkeyPatch, name: str, arguments: Sequence[str]) -> Iterator[None]:
    """Let what is called inside parse these arguments, and end it there."""
    parse = argparse.ArgumentParser.parse_args
    parsed: list[argparse.Namespace] = []

    def stop(parser: argparse.ArgumentParser, *given: Any) -> None:
        parsed.append(parse(parser, *given))
        raise _Read

    with patch.context() as inside:
        inside.setattr(sys, "argv", [name, *arguments])
        inside.setattr(argparse.ArgumentParser, "parse_args", stop)
        try:
            yield
        except _Read:
            pass
        except SystemExit:
            raise AssertionError(f"{name} does not take {' '.join(arguments)}") from None
    assert parsed, f"{name} parsed nothing"
    for taken in ("override", "search"):  # what follows goes to the search
        if overrides := getattr(parsed[0], taken, None):
            _ours("nas_search", overrides, patch)


def call(module: str, arguments: Sequence[str], patch: pytest.MonkeyPatch) -> int:
    """Call a command of the package in this process and return its exit code."""
    handler = signal.getsignal(signal.SIGTERM)
    with patch.context() as inside:
        inside.setattr(sys, "argv", [module, *arguments])
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(_main_of(module)).main()
    signal.signal(signal.SIGTERM, handler)
    return int(ended.value.code or 0)


def _drawn(name: str) -> DatasetRecord:
    """Return a data set that would be downloaded, with other images."""
    record = DATASETS.get("npz")
    images = record.options(path="my_data.npz")
    return dataclasses.replace(DATASETS.get(name), load=lambda _: record.load(images))


_SPLIT = BasicSweeper.split_arguments


def sweep_few(patch: pytest.MonkeyPatch) -> None:
    """Let sweeps run :func:`few_jobs`. Hydra's class is another than the one imported above:
    it reads its plugins anew."""
    (own,) = (one for one in Plugins.instance().discover(Sweeper) if one.__name__ == "BasicSweeper")
    patch.setattr(own, "split_arguments", staticmethod(few_jobs))


def few_jobs(overrides: Any, max_batch_size: int | None) -> list[list[list[str]]]:
    """Return jobs of a sweep that hold every word of it, and of numbers the first and the last."""
    (jobs,) = _SPLIT(overrides, max_batch_size)
    kept, held = [jobs[0]], set(jobs[0])
    for job in jobs[1:]:
        new = {one for one in job if not re.fullmatch(r"[^=]*=-?[\d.]+", one)} - held
        if new or job is jobs[-1]:
            kept.append(job)
            held |= new
    return [kept]


def _main_of(module: str) -> str:
    name = "search" if module == "nas_search" else module.removeprefix("nas_search.")
    return f"nas_search.commands.{name}"


def _ours(module: str, arguments: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Compose and read a command of the package; what it would compute with is thrown away."""
    asked = [one for one in arguments if not one.startswith("hydra/launcher=")]
    launching = [one for one in arguments if one.startswith(("hydra/launcher", "hydra.launcher"))]
    if launching:  # in other processes nothing would be replaced
        asked = [one for one in asked if not one.startswith("hydra.launcher.")]
        assert call(module, [*launching, "--cfg", "hydra"], patch) == 0, launching
    calls: list[Any] = []

    def keep(*given: Any, **_: Any) -> Any:
        calls.append(given)
        return SimpleNamespace(stop="budget")

    with patch.context() as inside, DATASETS.temporarily(*map(_drawn, DOWNLOADED)):
        # Composed once, not twice: which of its modes Hydra runs in follows from -m alone.
        inside.setattr(Hydra, "get_mode", lambda *_, **__: None)
        sweep_few(inside)
        for name in ("search", "training", "ranking", "inspect", "learn"):
            inside.setattr(f"nas_search.commands.run_{name}.run_{name}", keep)
        inside.setattr("nas_search.commands.pages.write_after", lambda *_: None)
        inside.setattr("nas_search.pages.page.write_page", keep)
        inside.setattr("nas_search.commands.report._serve", keep)
        inside.setattr("nas_search.commands.sweep_report.write_sweep", keep)
        code = call(module, asked, inside)
    assert code == 0, f"python -m {module} {' '.join(arguments)}"
    ends_itself = module == "nas_search.report" or {"--help", "--cfg"} & set(asked)
    assert calls or ends_itself, f"{module} {arguments} read nothing"
