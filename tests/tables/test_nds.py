"""The official files of network design spaces, in miniature: both layouts, and broken ones."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nds import NdsCellsSpace, NdsResidualSpace
from nas_search.tables import Table
from nas_search.tables.nds import NdsOptions, read_nds


def job(net: dict[str, Any], *errors: float, **other: Any) -> dict[str, Any]:
    """Return a training as the files have it; ``errors`` are those on test images by epoch."""
    return {
        "net": net,
        "optim": {"lr": 0.1, "wd": 5e-4, "mom": 0.9},
        "train_ep_top1": [error / 2 for error in errors],
        "test_ep_top1": list(errors),
        "min_test_top1": min(errors),
        "params": 1000,
        "flops": 2000,
        "prec_time": 0.1,
        "job_id": 1,
        **other,
    }


def cells(space: NdsCellsSpace, seed: int) -> dict[str, Any]:
    """Return the net of a random genotype as the files have it."""
    genotype = space.sample(np.random.default_rng(seed))
    names = ("normal", "normal_concat", "reduce", "reduce_concat")
    written = json.loads(json.dumps({name: getattr(genotype, name) for name in names}))
    sizes = {"width": genotype.width, "depth": genotype.depth}
    return {**sizes, "aux": False, "drop_prob": 0.0, "genotype": written}


def residual(depths: list[int], widths: list[int], **other: Any) -> dict[str, Any]:
    """Return a net as the files have it: the stem is the first stage."""
    stages = {"ds": [1, *depths], "ws": [16, *widths], "ss": [1, 1, 2, 2]}
    return {"block_type": "residual_basic_block", **stages, **other}


def write(folder: Path, content: Any) -> NdsOptions:
    file = folder / "mini.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return NdsOptions(str(file))


def test_cells_are_read_with_their_accuracies(tmp_path: Path) -> None:
    space = NdsCellsSpace("nasnet")
    nets = [cells(space, seed) for seed in range(3)]
    jobs = [job(nets[0], 90, 10, 12.5), job(nets[1], 80, 7), job(nets[2], 85, 9)]
    table = read_nds(space, write(tmp_path, {"top": jobs[:2], "mid": jobs[2:]}))
    assert isinstance(table, Table)
    for seed, test, best, train in ((0, 87.5, 90, 93.75), (1, 93, 93, 96.5), (2, 91, 91, 95.5)):
        genotype = space.sample(np.random.default_rng(seed))
        assert table.accuracy(genotype, "test_ep_top1") == test
        assert table.accuracy(genotype, "min_test_top1") == best
        assert table.accuracy(genotype, "train_ep_top1") == train
    assert table.accuracy(space.sample(np.random.default_rng(9)), "test_ep_top1") is None


def test_residual_networks_are_read_without_their_stem(tmp_path: Path) -> None:
    space = NdsResidualSpace("resnext_a")
    net = residual([16, 1, 4], [64, 128, 16], bot_muls=[0.0, 0.25, 0.25, 0.25], num_gs=[1, 2, 1, 2])
    basic = residual([12, 12, 12], [24, 24, 40])
    table = read_nds(space, write(tmp_path, [job(net, 20, 8)]))
    genotype = space.parse("ds=16-1-4,ws=64-128-16,bot_muls=0.25-0.25-0.25,num_gs=2-1-2")
    assert table.accuracy(genotype, "test_ep_top1") == 92
    resnet = NdsResidualSpace("resnet")
    table = read_nds(resnet, write(tmp_path, [job(basic, 20, 9)]))
    assert table.accuracy(resnet.parse("ds=12-12-12,ws=24-24-40"), "min_test_top1") == 91


def test_trainings_of_one_network_are_repeats(tmp_path: Path) -> None:
    space = NdsResidualSpace("resnet")
    net, other = residual([1, 2, 3], [16, 32, 64]), residual([1, 2, 4], [16, 32, 64])
    table = read_nds(space, write(tmp_path, [job(net, 10), job(other, 20), job(net, 14)]))
    assert len(table.architectures) == 2
    assert table.accuracy(space.parse("ds=1-2-3,ws=16-32-64"), "test_ep_top1") == 88
    repeats = table.repeats("test_ep_top1")
    assert repeats is not None and repeats.tells


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[{", "cannot read .* as JSON .*get the file anew"),
        ("3", "is no list of trainings; give a file of NDS"),
        ({"top": 1}, "is no list of trainings"),
        ([], "holds no training"),
        ([3], "training 1: expected a dictionary with a net, got '?3"),
        ([{"params": 3}], "training 1: expected a dictionary with a net"),
        ([job(residual([1, 1, 0], [16, 16, 16]), 9)], "training 1: nds_residual, ds: expected an"),
        ([job(residual([1, 1], [16, 16, 16]), 9)], "training 1: .*ds: expected a list of 4"),
        ([job(cells(NdsCellsSpace("enas"), 0), 9)], "training 1: .*search_space=nds_cells"),
        (
            [job(residual([1] * 3, [16] * 3, bot_muls=[0, 1, 1, 1], num_gs=[1] * 4), 9)],
            "training 1: .*the net has bot_muls, num_gs, which this family has not",
        ),
        ([job(residual([1] * 3, [16] * 3), 9), job(residual([1] * 3, [16] * 3), 120)], "ing 2: te"),
        ([job(residual([1] * 3, [16] * 3), 9, min_test_top1="x")], "min_test_top1 holds 'x', whi"),
        ("[{\"net\": {}, \"test_ep_top1\": NaN}]", "ds: expected a list of 4, the"),
    ],
)  # fmt: skip
def test_broken_files_are_refused_in_one_line(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_nds(NdsResidualSpace("resnet"), write(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_other_spaces_and_families_are_refused(tmp_path: Path) -> None:
    options = write(tmp_path, [job(cells(NdsCellsSpace("pnas"), 0), 9)])
    with pytest.raises(InputError, match="for search_space=nds_cells or nds_residual, not for"):
        read_nds(DartsSpace(), options)
    with pytest.raises(InputError, match="training 1: nds_cells, normal: expected 8 edges"):
        read_nds(NdsCellsSpace("darts"), options)


@pytest.mark.slow
def test_scores_are_ranked_against_a_file(tmp_path: Path) -> None:
    space = NdsCellsSpace("enas")
    rng = np.random.default_rng(0)
    options = write(
        tmp_path, [job(cells(space, seed), 5 + 20 * float(rng.random())) for seed in range(12)]
    )
    command = [
        *(sys.executable, "-m", "nas_search.rank", "search_space=nds_cells"),
        *("search_space.family=enas", "benchmark=nds", f"benchmark.path={options.path}"),
        *(
            "proxies=[params]",
            "architectures=12",
            "repeats=1",
            "seeds=[0]",
            "executor=inline",
            "device=cpu",
        ),
        f"hydra.run.dir={tmp_path / 'out'}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "scores.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 12
