"""Thousands of damaged inputs: each gives a value or a line; none a traceback, hang or code."""

from __future__ import annotations

import bz2
import io
import json
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from nas_search.commands.command import CONF
from nas_search.commands.rank_schema import read_rank_config
from nas_search.commands.search_schema import read_config
from nas_search.commands.train_schema import read_train_config
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.data import DATASETS
from nas_search.runs import open_run
from nas_search.runs.architecture import Architecture, load
from nas_search.runs.store import Store
from nas_search.spaces import SPACES
from nas_search.training import checkpoint
from tests.fuzz.mutations import CODE, WORDS, mutated_bytes, mutated_text, survive
from tests.runs.test_run import RECORD
from tests.tables.made import cells, nasbench201, nats, read, tfrecord
from tests.training.made import CELLS, stripes

pytestmark = pytest.mark.slow

Case = tuple[str, Callable[[], object]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where code that is executed would leave a file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_genotype_texts(folder: Path) -> None:
    spaces = {name: SPACES.get(name).space() for name in CELLS}
    rng, sampler = random.Random(1), np.random.default_rng(1)

    def cases() -> Iterator[Case]:
        for name, space in spaces.items():
            texts = [CELLS[name], *(str(space.sample(sampler)) for _ in range(20))]
            for _ in range(500):
                text = mutated_text(rng.choice(texts), rng)
                yield f"{name} {text[:200]!r}", lambda s=space, t=text: s.parse(t)  # type: ignore[misc]

    count, refused = survive(cases(), folder)
    assert count == 500 * len(CELLS)
    assert refused > 300 * len(CELLS)


GROUPS = ("search_space", "dataset", "proxy", "algorithm", "budget", "recipe", "executor")
OF_COMMANDS = {
    "config": (read_config, ("search_space.cells=3", "dataset.size=8")),
    "rank": (read_rank_config, ("benchmark=nasbench201", "benchmark.path=table.csv")),
    "train": (
        read_train_config,
        ("dataset=digits", "dataset.size=8", "architecture=DARTS_V2", "finalists.k=1"),
    ),
}


def test_configurations(folder: Path) -> None:
    nasbench201(folder / "table.csv")
    rng = random.Random(2)
    with initialize_config_dir(CONF, version_base="1.3"):
        keys = {name: [*_keys(compose(name)), *GROUPS] for name in OF_COMMANDS}
    every = [(name, key) for name in OF_COMMANDS for key in dict.fromkeys(keys[name])] * 2

    def cases() -> Iterator[Case]:
        for number, (name, first) in enumerate(every):
            read_it, base = OF_COMMANDS[name]
            changes = []
            for key in (first, rng.choice(keys[name]))[: rng.randint(1, 2)]:
                value = rng.choice([*WORDS, *CODE, *(str(rng.randrange(-2, 10**9)),) * 20])
                kind = rng.randrange(6)
                changes.append(f"~{key}" if kind == 0 else f"{'+' * (kind == 1)}{key}={value}")
            yield (
                f"{number} {name} {changes}",
                lambda n=name, r=read_it, o=(*base, *changes): (  # type: ignore[misc]
                    _composed(n, r, o)
                ),
            )

    count, refused = survive(cases(), folder)
    assert count == len(every) > 400
    assert refused > count / 3


def _keys(config: Any, prefix: str = "") -> Iterator[str]:
    for key, value in config.items_ex(resolve=False):
        if hasattr(value, "items_ex") and value is not None and not value._is_none():
            yield from _keys(value, f"{prefix}{key}.")
        yield f"{prefix}{key}"


def _composed(name: str, read_it: Callable[[Any], object], overrides: tuple[str, ...]) -> None:
    try:
        with initialize_config_dir(CONF, version_base="1.3"):
            config = compose(name, list(overrides))
    except Exception as error:  # Hydra's: the command turns them into a line, see Command._run
        raise InputError(" ".join(str(error).split())) from error
    read_it(config)


def _damaged(
    rng: random.Random, content: bytes, file: Path, count: int, use: Callable[[], object]
) -> Iterator[Case]:
    for number in range(count):
        changed = mutated_bytes(content, rng)

        def case(changed: bytes = changed) -> object:
            file.write_bytes(changed)
            return use()

        yield f"{file.name} {number}", case


def test_tables(folder: Path) -> None:
    rng, nb101 = random.Random(3), SPACES.get("nasbench101").space()
    nasbench201(folder / "table.csv")
    made = [(str(cell), 50.0 + number) for number, cell in enumerate(cells(5))]
    torch.save(nats(made), folder / "NAS-Bench-201-made.pth")
    plain = pickle.dumps(nats([(text, np.float64(value)) for text, value in made]))
    (folder / "a.pickle.pbz2").write_bytes(bz2.compress(plain))
    tfrecord(
        folder / "a.tfrecord",
        [("0110001100010000", "input,conv3x3-bn-relu,maxpool3x3,output", 108, 0.9, 0.8)] * 5,
    )
    np.savez(
        folder / "a.npz",
        n_vertices=np.array([3, 3], np.int8),
        adj_bits=np.array([5, 5], np.int32),
        ops=np.array(["0", "1"]),
        acc=np.array([90.0, 91.0]),
    )
    short = ["c10_test_200"]
    readers: dict[str, Callable[[], object]] = {
        "table.csv": lambda: read("nasbench201", path="table.csv", test=short),
        "NAS-Bench-201-made.pth": lambda: read(
            "nasbench201", path="NAS-Bench-201-made.pth", test=short
        ),
        "a.pickle.pbz2": lambda: read("nasbench201", path="a.pickle.pbz2", test=short),
        "a.tfrecord": lambda: read("nasbench101", nb101, path="a.tfrecord"),
        "a.npz": lambda: read("nasbench101", nb101, path="a.npz"),
    }

    def cases() -> Iterator[Case]:
        for name, use in readers.items():
            yield f"{name} whole", use
            yield from _damaged(rng, (folder / name).read_bytes(), folder / name, 200, use)
        # Bits that bz2's checksum would catch: damage below it.
        file = folder / "a.pickle.pbz2"
        for number in range(300):
            changed = bz2.compress(mutated_bytes(plain, rng))

            def case(changed: bytes = changed) -> object:
                file.write_bytes(changed)
                return readers["a.pickle.pbz2"]()

            yield f"pickle {number}", case

    count, refused = survive(cases(), folder)
    assert count == 1305
    assert refused > 500


def test_json_of_architectures(folder: Path) -> None:
    rng = random.Random(4)
    genotype = str(SPACES.get("nasbench201").space().parse(CELLS["nasbench201"]))
    sizes = {"cells": 1, "channels": 2}
    fields = Architecture("nasbench201", genotype, (3, 8, 8), 3, sizes, {}).as_dict()
    text, file = json.dumps(fields), folder / "best.json"
    values: list[Any] = [None, -1, 0, 10**20, 1.5, "x", [], {}, [1], {"a": 1}, True, 1e300, "9"]

    def cases() -> Iterator[Case]:
        for number in range(700):
            if number % 2:
                changed = mutated_text(text, rng)
            else:
                copy = json.loads(text)
                inner = copy if number % 4 else copy["macro"]
                inner[rng.choice([*inner, "extra"])] = rng.choice(values)
                changed = json.dumps(copy)

            def case(changed: str = changed) -> object:
                file.write_bytes(changed.encode("utf-8", "surrogateescape"))
                return load(file).build(), load(file).cost()

            yield f"{number} {changed[:200]!r}", case

    count, refused = survive(cases(), folder)
    assert count == 700
    assert refused > 300


def test_images(folder: Path) -> None:
    rng, noise = random.Random(5), np.random.default_rng(5)
    pixels = noise.integers(0, 255, (16, 16, 3)).astype(np.uint8)
    for name in ("circle", "star"):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.png")
    imagefolder = DATASETS.get("imagefolder")
    npz = DATASETS.get("npz")
    stripes(folder)

    def use(path: str = "images") -> object:
        data = imagefolder.load(imagefolder.options(path=path, size=8))
        return data.train.images(range(len(data.train))), data.test.images(range(len(data.test)))

    def use_npz() -> object:
        data = npz.load(npz.options(path="stripes.npz"))
        return data.train.images(range(len(data.train)))

    def cases() -> Iterator[Case]:
        for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, kind)
            file = folder / "images" / "star" / f"0.{kind.lower()}"
            (folder / "images" / "star" / "0.png").unlink(missing_ok=True)
            yield from _damaged(rng, buffer.getvalue(), file, 90, use)
            file.unlink()
        whole = (folder / "stripes.npz").read_bytes()
        yield from _damaged(rng, whole, folder / "stripes.npz", 120, use_npz)

    count, refused = survive(cases(), folder)
    assert count == 750
    assert refused > 100


def test_stores_and_checkpoints(folder: Path) -> None:
    rng, run = random.Random(6), folder / "run"
    run.mkdir()
    with Store(run / "run.sqlite") as store:
        store.claim(RECORD)
        for number in range(10):
            store.append(Evaluation(f"g{number}", "k", "ok", {"naswot": 1.5}, 10, 20), 0.5)
    network = torch.nn.Linear(4, 2)
    state = {"identity": {"seed": 0}, "network": network.state_dict(), "log": [{"epoch": 1}]}
    checkpoint.save(folder / "checkpoint.pt", state)

    def use() -> object:
        for journal in run.glob("run.sqlite-*"):
            journal.unlink()
        with Store(run / "run.sqlite") as store:
            store.claim(RECORD)
            store.append(Evaluation("new", "k", "ok"), 1.0)
        return open_run(run)

    def cases() -> Iterator[Case]:
        yield from _damaged(rng, (run / "run.sqlite").read_bytes(), run / "run.sqlite", 400, use)
        yield from _damaged(
            rng,
            (folder / "checkpoint.pt").read_bytes(),
            folder / "checkpoint.pt",
            300,
            lambda: checkpoint.load(folder / "checkpoint.pt", "cpu"),
        )

    count, refused = survive(cases(), folder)
    assert count == 700
    assert refused > 300
