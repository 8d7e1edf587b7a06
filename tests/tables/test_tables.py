"""Tables: look-up by genotype, the formats, and errors for broken files."""

from __future__ import annotations

import bz2
import csv
import importlib.util
import pickle
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.spaces import SPACES
from tests.tables.made import SPACE, cells, nasbench201, nats, read, tfrecord, write_csv

NASBENCH101 = SPACES.get("nasbench101").space()

# Two cells that are one network: what never reaches the output does not count.
FULL = "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
BARE = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"


def test_cell_has_its_own_accuracy_or_else_that_of_the_same_network(tmp_path: Path) -> None:
    rows = [[0, FULL, 61, 62, 30], [1, BARE, 63, 64, 31]]
    header = ["idx", "arch_str", "v11_c10valid_val_200", "c10_test_200", "c100_test_200"]
    both = write_csv(tmp_path / "both.csv", header, rows)
    one = write_csv(tmp_path / "one.csv", header, rows[:1])
    table = read("nasbench201", path=str(both), test=["c10_test_200"])
    assert table.accuracy(SPACE.parse(FULL), "c10_test_200") == 62
    assert table.accuracy(SPACE.parse(BARE), "c10_test_200") == 64
    table = read("nasbench201", path=str(one), test=["c10_test_200"])
    assert table.accuracy(SPACE.parse(BARE), "c10_test_200") == 62
    assert table.row(cells(1)[0]) is None
    assert table.accuracy(cells(1)[0], "c10_test_200") is None
    assert table.best("v11_c10valid_val_200") == 61
    assert table.reported == ("v11_c10valid_val_200", "c10_test_200")


def test_text_table_averages_repeats_and_keeps_gaps(tmp_path: Path) -> None:
    a, b, c = map(str, cells(3))
    rows = [[a, "x", 50, 1], [b, "x", "", 2], [a, "x", 60, ""], [c, "y", 99, 3]]
    path = write_csv(tmp_path / "own.csv", ["cell", "protocol", "val", "test"], rows)
    options: dict[str, Any] = {
        "path": str(path),
        "architecture": "cell",
        "validation": "val",
        "test": ["test"],
        "where": {"protocol": "x"},
    }
    table = read("csv", **options)
    assert [str(cell) for cell in table.architectures] == [a, b]
    assert table.columns["val"].tolist()[0] == 55
    assert table.accuracy(SPACE.parse(b), "val") is None
    assert table.columns["test"].tolist() == [1, 2]
    assert table.row(SPACE.parse(c)) is None
    assert len(read("csv", **{**options, "where": {}})) == 3


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install .*\[parquet\]"):
        read("csv", path=str(path))


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not there")
def test_real_parquet_file_is_read(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {"architecture": [str(cell) for cell in cells(3)], "accuracy": [1.0, 2.0, None]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "own.parquet")
    table = read("csv", path=str(tmp_path / "own.parquet"))
    assert table.best("accuracy") == 2
    (tmp_path / "own.parquet").write_bytes(b"broken")
    with pytest.raises(InputError, match="as Parquet"):
        read("csv", path=str(tmp_path / "own.parquet"))


def test_official_file_of_nasbench101_is_read(tmp_path: Path) -> None:
    chain = ("010001000", "input,conv3x3-bn-relu,output")
    # The first vertex after the input leads nowhere: pruned, it is the same cell.
    longer = ("0110" "0000" "0001" "0000", "input,maxpool3x3,conv3x3-bn-relu,output")  # fmt: skip
    pool = ("010001000", "input,maxpool3x3,output")
    rows = [
        (*chain, 108, 0.90, 0.80),
        (*chain, 108, 0.92, 0.84),
        (*longer, 108, 0.94, 0.85),
        (*chain, 4, 0.30, 0.25),
        (*pool, 108, 0.60, 0.55),
    ]
    table = read("nasbench101", NASBENCH101, path=str(tfrecord(tmp_path / "x.tfrecord", rows)))
    assert list(table.columns) == ["test_108", "test_4", "validation_108", "validation_4"]
    assert (table.validation, table.test) == ("validation_108", ("test_108",))
    conv = NASBENCH101.parse(
        "ModelSpec(matrix=[[0, 1, 0], [0, 0, 1], [0, 0, 0]], "
        "ops=['input', 'conv3x3-bn-relu', 'output'])"
    )
    assert len(table) == 2
    assert table.accuracy(conv, "validation_108") == pytest.approx(92)
    assert table.accuracy(conv, "test_108") == pytest.approx(83)
    assert table.accuracy(conv, "test_4") == pytest.approx(25)
    assert table.accuracy(table.architectures[1], "test_4") is None
    assert table.row(table.architectures[1]) == 1
    assert table.architectures[0:2] == [table.architectures[0], table.architectures[1]]


def pickled(path: Path, value: Any) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(value, protocol=4)))
    return path


@pytest.mark.parametrize("form", ["file", "folder", "torch"])
def test_official_files_of_nasbench201_are_read(tmp_path: Path, form: str) -> None:
    found = cells(3)
    whole = nats([(str(cell), 50.0 + place) for place, cell in enumerate(found)])
    whole["arch2infos"][1]["200"]["extra"] = [np.float64(3), np.int64(3)]  # harmless
    if form == "file":
        trained = whole["arch2infos"][1]["200"]
        trained["all_results"] = defaultdict(dict, trained["all_results"])
        path = pickled(tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2", whole)
    elif form == "folder":
        path = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
        path.mkdir()
        pickled(path / "meta.pickle.pbz2", {"meta_archs": whole["meta_archs"]})
        for index, trainings in whole["arch2infos"].items():
            pickled(path / f"{index:06d}.pickle.pbz2", trainings)
    else:
        for trainings in whole["arch2infos"].values():  # as the first benchmark names them
            trainings["less"], trainings["full"] = trainings.pop("12"), trainings.pop("200")
        path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
        torch.save(whole, path)
    table = read("nasbench201", path=str(path))
    assert table.validation == "c10valid_val_200"
    assert len(table) == 3
    for place, cell in enumerate(found):
        assert table.accuracy(cell, "c10valid_val_200") == 50.5 + place  # the mean of two seeds
        assert table.accuracy(cell, "c10valid_val_12") == 20 + place
        for column in ("c10_test_200", "c100_test_200", "in16_test_200"):
            assert table.accuracy(cell, column) == 60.5 + place


def test_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    path = pickled(tmp_path / "evil.pickle.pbz2", {"meta_archs": Evil()})
    with pytest.raises(InputError, match="which a table does not need"):
        read("nasbench201", path=str(path))
    assert not (tmp_path / "ran").exists()
    torch.save({"meta_archs": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="cannot read"):
        read("nasbench201", path=str(tmp_path / "evil.pth"))
    assert not (tmp_path / "ran").exists()


def test_broken_files_are_refused_in_one_line(tmp_path: Path) -> None:
    good = nasbench201(tmp_path / "good.csv", 3)
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("architecture,accuracy\na,1,2\n")
    wrong = write_csv(tmp_path / "wrong.csv", ["architecture", "accuracy"], [["|nope~0|", 3]])
    words = write_csv(
        tmp_path / "words.csv", ["architecture", "accuracy"], [[str(cells(1)[0]), "high"]]
    )
    empty = write_csv(tmp_path / "empty.csv", ["architecture", "accuracy"], [])
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\x89PNG\xff\xfe\x81")
    short = tmp_path / "short.tfrecord"
    short.write_bytes(b"\x05" + bytes(20))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    other = pickled(tmp_path / "other.pickle.pbz2", {"some": "thing"})
    plain = tmp_path / "plain.pickle.pbz2"
    plain.write_bytes(b"not bz2")
    (tmp_path / "folder").mkdir()
    cases: list[tuple[str, Any, dict[str, Any], str]] = [
        ("csv", SPACE, {}, "add benchmark.path=FILE"),
        ("csv", SPACE, {"path": "absent.csv"}, "there is no file absent.csv"),
        ("csv", SPACE, {"path": str(ragged)}, "row 1: 3 cells under a header of 2"),
        ("csv", SPACE, {"path": str(good)}, "no column 'architecture'; it has idx, arch_str"),
        ("csv", SPACE, {"path": str(wrong)}, "row 1: a nasbench201 cell"),
        ("csv", SPACE, {"path": str(words)}, "'high' is not a number"),
        ("csv", SPACE, {"path": str(empty)}, "has no architectures"),
        ("csv", SPACE, {"path": str(binary)}, "cannot read .*binary.csv as CSV"),
        ("nasbench201", SPACE, {"path": str(ragged)}, "3 cells under"),
        ("nasbench201", SPACE, {"path": str(other)}, "is not a file of NAS-Bench-201"),
        ("nasbench201", SPACE, {"path": str(plain)}, "cannot read .*plain.pickle.pbz2"),
        ("nasbench201", SPACE, {"path": str(tmp_path / "folder")}, "cannot read .*folder"),
        ("nasbench201", SPACE, {"path": str(words)}, "no column 'arch_str'"),
        ("nasbench201", SPACE, {"path": str(good)}, "no column 'in16_test_200'; possible: v11"),
        ("nasbench201", NASBENCH101, {"path": str(good)}, "not for search_space=nasbench101"),
        ("nasbench101", SPACE, {"path": str(good)}, "not for search_space=nasbench201"),
        ("nasbench101", NASBENCH101, {"path": str(short)}, "not a NAS-Bench-101 .tfrecord"),
        ("nasbench101", NASBENCH101, {"path": str(good)}, "not a NAS-Bench-101 .tfrecord"),
        ("nasbench101", NASBENCH101, {"path": str(tmp_path / "other.npz")}, "no array n_vert"),
    ]
    for name, space, options, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            read(name, space, **options)
        assert "\n" not in str(caught.value)


def test_real_nasbench201_is_read(shared_data: Path) -> None:
    table = read("nasbench201", path=str(shared_data / "nasbench201.csv"))
    assert len(table) == 15_625
    best = [round(table.best(column), 3) for column in table.test]
    assert best == [94.373, 73.513, 47.311]
    rng = np.random.default_rng(0)
    for _ in range(100):
        assert table.accuracy(SPACE.sample(rng), table.validation) is not None


def test_real_nasbench101_is_read(shared_data: Path) -> None:
    table = read("nasbench101", NASBENCH101, path=str(shared_data / "nasbench101.npz"))
    assert len(table) == NASBENCH101.size
    assert table.best(table.validation) == pytest.approx(94.32, abs=0.005)
    rng = np.random.default_rng(0)
    for _ in range(100):  # every cell of the space, however it is written, is in it
        assert table.row(NASBENCH101.mutate(NASBENCH101.sample(rng), rng)) is not None
    for row in rng.integers(len(table), size=50).tolist():
        assert table.row(table.architectures[row]) == row


def test_real_trained_darts_cells_are_read(shared_data: Path) -> None:
    space = SPACES.get("darts").space()
    options = {"architecture": "genotype", "validation": "c10_acc"}
    path = shared_data / "darts_trained.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for protocol in ("full_600", "small_200", "short_50"):
        table = read("csv", space, path=str(path), where={"protocol": protocol}, **options)
        values = [float(row["c10_acc"]) for row in rows if row["protocol"] == protocol]
        assert len(table) <= len(values)
        assert table.best("c10_acc") == max(values)
