"""The folder in which the pages' commands are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import leave_unchecked
from tests.docs.rules import call
from tests.docs.world import RUN_COMMAND, add_files, add_run


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of stand-ins for all files that the pages name, a run among them."""
    folder = tmp_path_factory.mktemp("world")
    add_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        leave_unchecked(patch)
        assert call("nas_search", RUN_COMMAND, patch) == 0
    add_run(folder)
    return folder
