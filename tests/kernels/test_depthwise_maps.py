"""The kernel for depthwise weight gradients, by Triton's interpreter, and what happens without it.

The interpreter is chosen when Triton is imported: the comparison runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas_search.kernels import depthwise_maps, guard
from nas_search.layers.convolution_gradient import Geometry, weight_gradient

CASES = [  # kernel, stride, padding, dilation, sides: those of DARTS, odd ones, and uneven ones
    ((3, 3), (1, 1), (1, 1), (1, 1), (8, 8)),
    ((5, 5), (2, 2), (2, 2), (1, 1), (9, 8)),
    ((3, 3), (1, 1), (2, 2), (2, 2), (6, 6)),
    ((5, 5), (2, 2), (4, 4), (2, 2), (9, 9)),
    ((2, 3), (1, 2), (0, 1), (2, 1), (7, 5)),
    ((1, 4), (3, 1), (0, 3), (1, 1), (4, 3)),
    ((3, 3), (1, 1), (1, 1), (1, 1), (1, 1)),
]


def naive(x: Tensor, error: Tensor, weight: Tensor, g: Geometry) -> Tensor:
    """One ordinary backward pass per sample, in float64."""
    rows = []
    for own, own_error in zip(x.double().split(1), error.double().split(1), strict=True):
        of = weight.double().detach().requires_grad_()
        y = F.conv2d(own, of, None, g.stride, g.padding, g.dilation, g.groups)
        rows.append(torch.autograd.grad(y, of, own_error)[0].flatten())
    return torch.stack(rows)


def problem(case: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Geometry]:
    kernel, stride, padding, dilation, sides = case
    x, weight = torch.randn(2, 2, *sides, dtype=dtype), torch.randn(2, 1, *kernel, dtype=dtype)
    y = F.conv2d(x, weight, None, stride, padding, dilation, 2)
    return x, torch.randn_like(y), weight, Geometry(stride, padding, dilation, 2)


def compare() -> None:
    """What runs in the interpreter."""
    torch.manual_seed(0)
    exact, single, half = (torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)
    for (dtype, tolerance), cases in ((exact, CASES), (single, CASES[3:5]), (half, CASES[:1])):
        for case in cases:
            x, error, weight, g = problem(case, dtype)
            assert depthwise_maps.worthwhile(x, error, weight, 2)
            found = weight_gradient(x, error, weight, g)
            assert found.dtype == dtype and not guard._failed, guard._failed
            expected = naive(x, error, weight, g)
            scale = expected.abs().max().clamp_min(1)
            worst = ((found.double() - expected).abs().max() / scale).item()
            assert worst < tolerance, (case, dtype, worst)
            if dtype is torch.bfloat16:  # one that lies in a wider tensor, as levels give it
                wide = torch.cat([error, error], 1)[:, :2]
                torch.testing.assert_close(weight_gradient(x, wide, weight, g), found)
    print("compared", len(CASES))


def test_it_is_one_backward_pass_per_sample() -> None:
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernels.test_depthwise_maps"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"compared {len(CASES)}\n", done.stderr


@pytest.mark.slow
def test_it_compiles_for_an_h100() -> None:
    """Triton and its assembler need no GPU for that."""
    triton = pytest.importorskip("triton")
    backends = pytest.importorskip("triton.backends.compiler")
    from nas_search.kernels.depthwise_triton import NUMBERS, _taps

    sizes = {"KERNEL_H": 3, "KERNEL_W": 3, "SUM": triton.language.float32, "BLOCK": 64}
    signature = dict.fromkeys(("x", "error", "rows"), "*fp32") | dict.fromkeys(NUMBERS, "i32")
    signature |= dict.fromkeys(sizes, "constexpr")
    source = triton.compiler.ASTSource(fn=_taps, signature=signature, constexprs=sizes)
    compiled = triton.compile(source, target=backends.GPUTarget("cuda", 90, 32))
    assert compiled.asm["cubin"]


def test_it_is_for_depthwise_convolutions_of_small_maps_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, error, weight, _ = problem(CASES[0], torch.float32)
    assert not depthwise_maps.worthwhile(x, error, weight, 2)  # a CPU
    monkeypatch.setattr(depthwise_maps, "usable", lambda *_: True)
    assert depthwise_maps.worthwhile(x, error, weight, 2)
    assert not depthwise_maps.worthwhile(x, error, torch.empty(4, 1, 3, 3), 2)
    assert not depthwise_maps.worthwhile(x, error, weight, 1)
    assert not depthwise_maps.worthwhile(x, torch.empty(2, 2, 64, 65), weight, 2)


@pytest.mark.parametrize("missing", [True, False])
def test_a_kernel_that_fails_is_replaced_and_said_once(
    missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there is no Triton, or one that does not know this machine (here: no GPU at all)."""
    pytest.importorskip("triton")
    monkeypatch.setattr(guard, "_failed", {})
    monkeypatch.setattr(guard, "usable", lambda name, _: name not in guard._failed)
    monkeypatch.setattr(depthwise_maps, "usable", guard.usable)
    if missing:
        monkeypatch.setitem(sys.modules, "nas_search.kernels.depthwise_triton", None)
    x, error, weight, g = problem(CASES[1], torch.float64)
    with pytest.warns(UserWarning, match="'depthwise weight gradient' does not run here") as said:
        first = weight_gradient(x, error, weight, g)
    assert len(said) == 1 and "\n" not in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = weight_gradient(x, error, weight, g)
    for found in (first, again):
        torch.testing.assert_close(found, naive(x, error, weight, g))


def test_a_kernel_whose_first_result_is_wrong_is_a_failure_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_failed", {})
    monkeypatch.setattr(guard, "_compared", set())
    right, wrong = torch.tensor([1.0, 100.0]), torch.tensor([3.0, 100.0])
    broken = torch.tensor([torch.nan, 1.0])
    assert guard.attempt("any", lambda: wrong, lambda: broken) is broken  # nothing to compare
    close = right + 1e-3
    assert guard.attempt("any", lambda: close, lambda: right) is close
    assert guard.attempt("any", lambda: wrong, lambda: right) is wrong  # looked at once alone
    with pytest.warns(
        UserWarning, match=r"'other' does not run here \(its result differs by 2e-02"
    ):
        assert guard.attempt("other", lambda: wrong, lambda: right) is right
    assert guard.attempt("other", lambda: close, lambda: right) is right
    assert guard.failure("other") and not guard.failure("any")


def test_a_lack_of_memory_is_no_fault_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_failed", {})

    def full() -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        guard.attempt("any", full, lambda: torch.ones(1))
    assert not guard._failed


if __name__ == "__main__":
    compare()
