"""docs/your_pictures.md, followed from drawn JPEGs to the names of new ones."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PAGE = (REPOSITORY / "docs" / "your_pictures.md").read_text(encoding="utf-8")
KEY = "1a2b3c4d"
"""The finalist's folder on the page."""
LEAST = 12
"""Of 20 new pictures of 4 classes so many are named right at least; 5 by chance."""
SHORTER = (
    " search_space.channels=8 search_space.cells=5 recipe.min_steps=100"
    " budget.evaluations=30 budget.minutes=null"
)
"""What the test adds: the page itself searches for two minutes and trains for ten."""


def commands() -> list[str]:
    """Return the shell commands of the page, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def shell(command: str, folder: Path, **environment: str) -> str:
    """Run a command as the page has it, in a folder outside the checkout; return what it prints."""
    command = re.sub(r"^python ", f"{sys.executable} ", command)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_page_leads_from_jpegs_to_names(tmp_path: Path) -> None:
    _, draw, inspect, search, predict, copy = commands()
    ours = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    shell(draw, tmp_path, **ours)
    assert len(list(tmp_path.glob("my_pictures/*/*.jpg"))) == 160
    assert "160 of 160 files used" in shell(inspect, tmp_path, **ours)
    shown = shell(search + SHORTER, tmp_path, **ours)
    assert "test accuracy" in shown
    with (tmp_path / "outputs/shapes/finalists/finalists.csv").open(encoding="utf-8") as file:
        (winner,) = csv.DictReader(file)
    assert winner["key"] in shown
    alone = {"PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    named = shell(predict.replace(KEY, winner["key"]), tmp_path, **alone)
    answers = re.findall(r"new_pictures/(\w+)_\d\.jpg: (\w+) \(\d+%\)", named)
    assert len(answers) == 20
    assert sum(right == name for right, name in answers) >= LEAST, named
    shell(copy.replace(KEY, winner["key"]), tmp_path, **alone)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    lines = shell("python program.py", tmp_path, **alone).splitlines()
    expected = dict(re.findall(r"new_pictures/(\w+)\.jpg: (\w+)", named))
    assert [line.split()[0] for line in lines] == [expected["star_0"], expected["circle_0"]]
