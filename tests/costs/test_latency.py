"""Latency: what is timed, the statistics, and a predictor held against times that add up."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.costs import COSTS, At
from nas_search.costs import measure as module
from nas_search.costs.measure import Device, time_network, timing
from nas_search.costs.predictor import fit_predictor, operation_counts, read_latency_table
from nas_search.spaces import SPACES
from tests.costs.test_counts import Chain

SPACE = SPACES.get("nasbench201").space()
AT = At((3, 8, 8), 10, {"cells": 1, "channels": 4})


def genotypes(count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def additive(genotype: Any) -> float:
    """A device on which every operation takes its own time, sums into nodes included."""
    each = {"none": 0.0, "skip_connect": 0.1, "nor_conv_1x1": 1.0, "nor_conv_3x3": 3.0}
    return 5.0 + sum(each.get(name, 0.5) for name in genotype.operations)


def test_times_that_add_up_are_predicted_for_networks_that_were_not_measured() -> None:
    known, new = genotypes(40), genotypes(20, seed=1)
    fit = fit_predictor(SPACE, known, [additive(one) for one in known], AT)
    for one in new:
        assert fit.predictor.milliseconds(SPACE, one, AT) == pytest.approx(additive(one), rel=1e-3)
    for one, predicted in zip(known, fit.held_out, strict=True):
        assert predicted == pytest.approx(additive(one), rel=1e-2)


def test_the_error_is_that_of_networks_outside_the_fit() -> None:
    rng, known = np.random.default_rng(0), genotypes(30)
    noise = rng.uniform(10, 20, len(known)).tolist()  # nothing that operations could explain
    fit = fit_predictor(SPACE, known, noise, AT)
    errors = [p - m for p, m in zip(fit.held_out, noise, strict=True)]
    assert np.std(errors) > 0.9 * np.std(noise)


def test_a_predictor_can_be_sent_to_workers_and_kept_to_the_last_bit() -> None:
    known = genotypes(12)
    predictor = fit_predictor(SPACE, known, [additive(one) for one in known], AT).predictor
    copy = pickle.loads(pickle.dumps(predictor))
    again = type(predictor)(**predictor.as_dict())
    for one in known:
        value = predictor.milliseconds(SPACE, one, AT)
        assert copy.milliseconds(SPACE, one, AT) == again.milliseconds(SPACE, one, AT) == value


def test_networks_of_a_space_without_parts_are_told_apart_by_their_functions() -> None:
    space, at = Chain(), At((3, 8, 8), 10, {})
    counts = operation_counts(space, space.parse("conv|pool"), at)
    names = {key.partition(" ")[0]: count for key, count in counts.items()}
    assert names["conv2d"] == 1 and names["linear"] == 1 and "_whole" not in str(names)


def test_the_median_stands_and_far_runs_are_counted() -> None:
    found = timing([1.0, 1.0, 1.1, 1.2, 1.2, 1.2, 9.0])
    assert found.milliseconds == 1200 and found.outliers == 1 and found.runs == 7
    assert found.spread == pytest.approx((1.2 - 1.05) / 1.2)


def test_networks_run_warm_in_eval_mode_with_the_threads_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[bool, int, tuple[int, ...], bool]] = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            state = (self.training, torch.get_num_threads(), tuple(x.shape))
            seen.append((*state, torch.is_grad_enabled()))
            return x

    monkeypatch.setattr(module, "WARM_UP_SECONDS", 0)
    before = torch.get_num_threads()
    found = time_network(Watched(), (3, 4, 4), Device(threads=2, batch=5, repeats=3))
    assert len(seen) == module.WARM_UP + 3 and found.runs == 3
    assert set(seen) == {(False, 2, (5, 3, 4, 4), False)}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"threads": 0}, "latency.threads=0 must be 1 or more"),
        ({"repeats": 2}, "latency.repeats=2 must be 3 or more"),
        ({"runtime": "onnx", "precision": "bf16"}, "latency.runtime=onnx measures on the CPU"),
    ],
)
def test_what_cannot_be_measured_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Device(**values)


@pytest.mark.slow
def test_onnx_runtime_runs_what_torch_runs() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    dead = SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")  # it has no input
    for genotype in (genotypes(1)[0], dead):
        network = SPACE.build(genotype, (3, 8, 8), 10, cells=1, channels=4)
        found = time_network(network, (3, 8, 8), Device(runtime="onnx", repeats=5))
        assert 0 < found.milliseconds < 1000


def test_a_table_is_exact_and_what_it_lacks_meets_no_bound(tmp_path: Path) -> None:
    one, twin, other = (
        "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|",
        "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_1x1~2|",
        "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
    )
    file = tmp_path / "table.csv"
    file.write_text(f"genotype,latency\n{one},2.5\n{twin},3.5\n")
    table = read_latency_table(SPACE, file)
    at = At((3, 8, 8), 10, AT.macro, latency=table)
    latency = COSTS.get("latency").cost
    assert latency(SPACE, SPACE.parse(one), at) == 3.0  # both rows are the same network
    assert latency(SPACE, SPACE.parse(other), at) == math.inf
    for text, words in (
        ("genotype,ms\nx,1\n", "no column 'latency'"),
        (f"genotype,latency\n{one},fast\n", "line 2"),
        (f"genotype,latency\n{one},0\n", "line 2: latency=0 must be"),
        ("genotype,latency\nbad,1\n", "line 2"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=words):
            read_latency_table(SPACE, file)
