"""What all tests share: where the real data lies, and records that a test alone registers."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # threads of one worker would wait, spinning, for the others'
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from nas_search.core.registry import Registry

Register = Callable[..., None]
"""``register(registry, record, ...)``: until the test ends."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the journeys, the files of this folder itself: some take minutes, and last they
    would keep one worker busy while the other waits."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent != here)


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


def leave_unchecked(patch: pytest.MonkeyPatch) -> None:
    """Start no process that looks at finalists' folders: tests/training/test_packing.py does."""
    from nas_search.training import packing

    patch.setattr(packing, "check_written", lambda folders: [""] * len(folders))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_unchecked(monkeypatch)


@pytest.fixture
def register() -> Iterator[Register]:
    """Hold records in a registry until the test ends, in place of those of the same names."""
    with ExitStack() as stack:

        def hold(registry: Registry[Any], *records: Any) -> None:
            stack.enter_context(registry.temporarily(*records))

        yield hold
