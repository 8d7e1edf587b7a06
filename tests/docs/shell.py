"""The commands of a page, as a shell would start them: bash reads them, and starts nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
        *REPOSITORY.glob("docs/**/*.md"),
    ]
)
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
SHELL = ("sh", "bash", "shell", "console")
STARTS = re.compile(
    r"(?:\.venv/bin/\w+|\.ci/run|studies/study\.sh|python3?|nas-search|pip|torchrun|mkdocs|dask|apt-get"
    r"|sbatch|docker|helm|kubectl|ssh|tensorboard|optuna-dashboard|wandb)(?= )"
)
"""How a command begins in the middle of a sentence, between backticks."""
FILES = (
    *(f".venv/bin/{name}" for name in ("python", "pip", "pre-commit", "ruff", "mypy", "mkdocs")),
    *("studies/study.sh", ".ci/run"),
)
"""Programs that the pages start by their path."""

RECORDER = """
set -eu -o pipefail
PATH=/nowhere
command_not_found_handle() { printf '%s\\0' "$#" "$@" >>"$RECORD"; }
source() { command_not_found_handle source "$@"; }
"""

Command = tuple[str, ...]


def scripts(page: Path) -> list[str]:
    """Return the shell blocks of a page, and the commands within its sentences.

    A sentence may leave something to the reader (``...``), or name a program without its arguments;
    neither is a command.
    """
    text = page.read_text(encoding="utf-8")
    found = [block for _, language, block in FENCE.findall(text) if language in SHELL]
    for mentioned in re.findall(r"`([^`]+)`", FENCE.sub("", text)):
        line = " ".join(mentioned.replace("\\|", "|").split())
        name = re.fullmatch(r"python -m( [\w.]+)?", line) and line != "python -m nas_search"
        if STARTS.match(line) and not name and not re.search(r"\.\.\.(?!/)", line):
            found.append(line)
    return found


def started(script: str, folder: Path) -> list[Command]:
    """Return what a script would start in ``folder``, program first, expanded as bash does it.

    Raises:
        AssertionError: bash cannot read it, or it starts a file that is not in :data:`FILES`.
    """
    record = folder / ".record"
    record.write_bytes(b"")
    bash = shutil.which("bash")
    assert bash is not None
    for name in FILES:
        program = folder / name
        if not program.exists():
            program.parent.mkdir(parents=True, exist_ok=True)
            told = f"""printf '%s\\0' "$(($# + 1))" {name} "$@" >>"$RECORD"\n"""
            program.write_text(f"#!{bash}\n{told}", encoding="utf-8")
            program.chmod(0o755)
    done = subprocess.run(
        [bash, "-c", RECORDER + script], cwd=folder, env={"RECORD": str(record)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    words = record.read_bytes().decode().split("\0")[:-1]
    commands = []
    while words:
        count = int(words[0])
        commands.append(tuple(words[1 : count + 1]))
        words = words[count + 1 :]
    return commands
