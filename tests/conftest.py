"""What all tests share: where the real data lies."""

import os
from pathlib import Path

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # threads of one worker would wait, spinning, for the others'
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data that checks read; its README says what is in it."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NAS_SEARCH_DATA", default))
    if not folder.is_dir():
        pytest.skip(
            f"the real data is not at {folder}: set NAS_SEARCH_DATA to the folder that holds it"
        )
    return folder
