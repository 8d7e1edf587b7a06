"""The quick-start command as a user has it: from an installed wheel, in another folder."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.network  # pip fetches what builds the wheel

REPOSITORY = Path(__file__).parent.parent
TEN_MINUTES = 600
SHORTER = 1.5
"""Minutes of search instead of the six that are configured."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it, without its dependencies, into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    for arguments in (
        ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(REPOSITORY)],
        ["install", "--quiet", "--no-deps", "--target", str(folder / "site")],
    ):
        if arguments[0] == "install":
            arguments += [str(next(folder.glob("*.whl")))]
        subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)
    return folder / "site"


def run(command: list[str], site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=TEN_MINUTES
    )


def test_the_bare_command_ends_in_ten_minutes_with_all_its_files(
    site: Path, tmp_path: Path
) -> None:
    plain = run([sys.executable, "-m", "nas_search", "--cfg", "job"], site, tmp_path)
    minutes = yaml.safe_load(plain.stdout)["budget"]["minutes"]
    begun = time.monotonic()
    command = [sys.executable, "-m", "nas_search", f"budget.minutes={SHORTER}"]
    ended = run(command, site, tmp_path)
    assert ended.returncode == 0, ended.stderr
    # What it does before and after the search does not depend on how long it searches.
    beside = time.monotonic() - begun - 60 * SHORTER
    assert 60 * minutes + beside < TEN_MINUTES
    (directory,) = tmp_path.glob("outputs/*/*")
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["candidates"]["ok"] > 100 * SHORTER / minutes
    assert "finished" in ended.stdout and "gradalign" in ended.stdout
    for name in ("search.png", "cell_1_normal.svg", "cell_1_reduce.svg", "run.sqlite"):
        assert (directory / name).stat().st_size > 1000
    with (directory / "leaderboard.csv").open(newline="") as file:
        leader = next(csv.DictReader(file))
    assert json.loads((directory / "best.json").read_text())["genotype"] == leader["genotype"]
    rebuilt = run(
        [
            sys.executable,
            "-c",
            "import nas_search, sys\n"
            "network = nas_search.load(sys.argv[1]).build()\n"
            "print(sum(p.numel() for p in network.parameters()), nas_search.__file__)",
            str(directory / "best.json"),
        ],
        site,
        tmp_path,
    )
    params, where = rebuilt.stdout.split()
    assert params == leader["params"]
    assert where.startswith(str(site)), "the test must use the wheel, not the checkout"


def test_the_console_script_is_the_same_command(site: Path, tmp_path: Path) -> None:
    ended = run([str(site / "bin" / "nas-search"), "--cfg", "job"], site, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "search_space:\n  name: darts" in ended.stdout


def test_the_wheel_holds_no_tests_all_configuration_and_its_types(site: Path) -> None:
    inside = {path.relative_to(REPOSITORY / "conf") for path in REPOSITORY.glob("conf/**/*.yaml")}
    packed = site / "nas_search" / "conf"
    assert {path.relative_to(packed) for path in packed.glob("**/*.yaml")} == inside
    assert not (site / "tests").exists()
    assert (site / "nas_search" / "py.typed").exists()
