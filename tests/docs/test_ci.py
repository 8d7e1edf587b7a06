"""``.ci/browser`` installs Chromium where it can, and says so where it cannot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.shell import REPOSITORY

SKIPPED = "the tests in a browser are skipped"
BASH = shutil.which("bash") or ""


def program(folder: Path, name: str, script: str = "") -> None:
    (folder / name).write_text(f"#!{BASH}\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("user", "system", "there", "works", "installs", "skips"),
    [
        (0, "debian", False, True, True, False),
        (0, "debian", False, False, True, True),
        (0, "debian", True, True, False, False),
        (1000, "debian", False, True, False, True),
        (0, "ubuntu", False, True, False, True),
    ],
)
def test_a_browser_is_installed_or_its_tests_are_said_to_be_skipped(
    tmp_path: Path, user: int, system: str, there: bool, works: bool, installs: bool, skips: bool
) -> None:
    programs, release = tmp_path / "bin", tmp_path / "os-release"
    programs.mkdir()
    release.write_text(f"ID={system}\n")
    program(programs, "id", f"echo {user}")
    for name in ("grep", "cp"):
        (programs / name).symlink_to(shutil.which(name) or "")
    program(tmp_path, "browser")
    copy = "\n".join(f"cp {tmp_path}/browser {programs}/{n}" for n in ("chromium", "chromedriver"))
    asked = f'echo "$@" >>{tmp_path}/asked\n'
    program(
        programs, "apt-get", asked + (f"[ $1 = update ] || {{ {copy}\n}}" if works else "exit 1")
    )
    if there:
        for name in ("chromium", "chromedriver"):
            program(programs, name)
    done = subprocess.run(
        [BASH, REPOSITORY / ".ci" / "browser"], capture_output=True, text=True, check=True,
        env={"PATH": str(programs), "RELEASE": str(release)},
    )  # fmt: skip
    assert (tmp_path / "asked").exists() == installs
    assert (SKIPPED in done.stdout) == skips
    assert not done.stderr
