"""The examples do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_a_layer_of_ones_own_inherits_its_tests() -> None:
    # In a process of its own: the book of this one stays as it is.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "own_layer.py"]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
