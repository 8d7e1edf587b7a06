"""Files of NAS-Bench-201 whose numbers are forged are refused; numpy decodes nothing of them."""

from __future__ import annotations

import bz2
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from tests.tables.made import cells, nats, read

CELL = str(cells(1)[0])
SCALAR = np.float64(0).__reduce__()[0]
RECONSTRUCT = np.zeros(1).__reduce__()[0]


class Forged:
    """Pickles as a call of ``function`` with ``arguments``, then ``__setstate__(state)``."""

    def __init__(self, function: Any, arguments: tuple[Any, ...], state: Any = None) -> None:
        self._reduced = (function, arguments, *([state] if state is not None else []))

    def __reduce__(self) -> Any:
        return self._reduced


def table_with(value: Any) -> dict[str, Any]:
    made = nats([(CELL, 50.0)])
    results = made["arch2infos"][0]["200"]["all_results"]
    for result in results.values():
        accuracies = result["eval_acc1es"]
        result["eval_acc1es"] = dict.fromkeys(accuracies, value)
    return made


def read_back(tmp_path: Path, value: Any, kind: str) -> Any:
    if kind == "pbz2":
        file = tmp_path / "a.pickle.pbz2"
        file.write_bytes(bz2.compress(pickle.dumps(table_with(value))))
    else:
        file = tmp_path / "a.pth"
        torch.save(table_with(value), file)
    return read("nasbench201", path=str(file), test=["c10_test_200"])


@pytest.mark.parametrize("kind", ["pbz2", "pth"])
@pytest.mark.parametrize("value", [np.float64(91.5), np.float32(91.5), 91.5])
def test_numbers_of_numpy_are_read(tmp_path: Path, value: Any, kind: str) -> None:
    table = read_back(tmp_path, value, kind)
    assert table.accuracy(table.architectures[0], "c10_test_200") == 91.5


def test_arrays_of_numpy_are_read(tmp_path: Path) -> None:
    table = read_back(tmp_path, np.array([90.0, 93.0]), "pbz2")
    assert table.accuracy(table.architectures[0], "c10_test_200") == 91.5


FORGED = {
    "an object as a number": Forged(SCALAR, (np.dtype("O"), b"\x08" * 8)),
    "a number that is too short": Forged(SCALAR, (np.dtype("f8"), b"\x08")),
    "a number without a type": Forged(SCALAR, ("f8", b"\x08" * 8)),
    "an array of objects": Forged(
        RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (4,), np.dtype("O"), False, b"\x08" * 32)
    ),
    "an array larger than its bytes": Forged(
        RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (10**9,), np.dtype("f8"), False, b"\x08" * 8)
    ),
    "an array of a type of its own": Forged(
        RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (1,), np.dtype("V8"), False, b"\x08" * 8)
    ),
}


@pytest.mark.parametrize("kind", ["pbz2", "pth"])
@pytest.mark.parametrize("forged", FORGED.values(), ids=list(FORGED))
def test_forged_numbers_are_refused(tmp_path: Path, forged: Forged, kind: str) -> None:
    with pytest.raises(InputError) as caught:
        read_back(tmp_path, forged, kind)
    assert "\n" not in str(caught.value)
