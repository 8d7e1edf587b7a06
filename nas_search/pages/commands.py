"""Commands that go on from a folder, ready to be copied."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from nas_search.runs.run import Run

Command = tuple[str, str]
"""What it does, and the command."""


def of_run(run: Run) -> list[Command]:
    """Return how to rebuild, train, export, continue and watch."""
    folder = run.directory
    given = shlex.quote(f"run={folder}")
    best = repr(str(folder / "best.json"))
    commands = [
        (
            "Build the best network again, in Python:",
            f"import nas_search\n\nnetwork = nas_search.load({best}).build()",
        ),
        (
            "Train the three best:",
            f"python -m nas_search.train {given} finalists.k=3",
        ),
        (
            "Train them and export the winner as programs that need no Python source:",
            f"python -m nas_search.train {given} finalists.k=3 'finalists.export=[pt2,onnx]'",
        ),
        (
            "Continue the search with a larger budget: what was typed for it in place of the dots, "
            "its folder, and more evaluations or minutes:",
            f"python -m nas_search ... {shlex.quote(f'hydra.run.dir={folder}')} budget=thorough",
        ),
        ("Make this page anew:", _report(folder)),
    ]
    winner = run.finalists[0]["key"] if run.finalists else ""
    if winner:
        network = folder / "finalists" / winner
        what, file = (
            ("series", "series.npy") if _takes_series(network) else ("picture", "photo.jpg")
        )
        commands.insert(
            1,
            (
                f"Use the trained winner on a {what}:",
                f"python {shlex.quote(str(network / 'model.py'))} {file}",
            ),
        )
    return commands


def _takes_series(network: Path) -> bool:
    """Whether a trained network is one of series, by what its folder says."""
    try:
        preparation = json.loads((network / "preprocessing.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(preparation, dict) and bool(preparation.get("series"))


def of_sweep(folder: Path) -> list[Command]:
    """Return how to train, to run what is missing, and to watch."""
    return [
        (
            "Train the best of each search; training compares what scores cannot:",
            f"python -m nas_search.train {shlex.quote(f'run={folder}')}",
        ),
        ("The table in the terminal:", f"python -m nas_search.sweep {shlex.quote(str(folder))}"),
        ("Make this page anew:", _report(folder)),
    ]


def again(folder: Path) -> list[Command]:
    """Return how to make the page anew."""
    return [("Make this page anew:", _report(folder))]


def _report(folder: Path) -> str:
    return f"python -m nas_search.report {shlex.quote(str(folder))}"
