"""The kernel of :mod:`.depthwise_maps`, in Triton, which torch brings for GPUs."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

Pair = tuple[int, int]

NUMBERS = (
    *("height", "width", "places", "across"),
    *("stride_h", "stride_w", "padding_h", "padding_w", "dilation_h", "dilation_w"),
)


# Kernel size and block alone: whatever else it were compiled for anew would cost seconds each time.
@triton.jit(do_not_specialize=NUMBERS)  # type: ignore[untyped-decorator]
def _taps(  # type: ignore[no-untyped-def]
    x,
    error,
    rows,
    height,
    width,
    places,
    across,
    stride_h,
    stride_w,
    padding_h,
    padding_w,
    dilation_h,
    dilation_w,
    KERNEL_H: tl.constexpr,
    KERNEL_W: tl.constexpr,
    SUM: tl.constexpr,
    BLOCK: tl.constexpr,
):
    number = tl.program_id(0).to(tl.int64)
    place = tl.arange(0, BLOCK)
    own = tl.load(error + number * places + place, mask=place < places, other=0).to(SUM)
    top = place // across * stride_h - padding_h
    left = place % across * stride_w - padding_w
    x += number * height * width
    rows += number * (KERNEL_H * KERNEL_W)
    for i in tl.static_range(KERNEL_H):
        row = top + i * dilation_h
        there = (place < places) & (row >= 0) & (row < height)
        for j in tl.static_range(KERNEL_W):
            column = left + j * dilation_w
            seen = there & (column >= 0) & (column < width)
            value = tl.load(x + row * width + column, mask=seen, other=0).to(SUM)
            total = tl.sum(value * own)
            tl.store(rows + i * KERNEL_W + j, total.to(rows.dtype.element_ty))


def taps(
    x: Tensor, error: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """Return per-sample weight gradients, (n, C * k * k), added up in float32; float64 in float64.

    Arguments as :func:`nas_search.kernels.depthwise_maps.weight_gradient`.
    """
    x, error = x.contiguous(), error.contiguous()
    places = error.shape[2] * error.shape[3]
    rows = x.new_empty(*x.shape[:2], *weight.shape[2:])
    block = max(32, 1 << (places - 1).bit_length())
    with torch.cuda.device_of(x):  # else it is launched on the current one
        _taps[(x.shape[0] * x.shape[1],)](
            x,
            error,
            rows,
            *x.shape[2:],
            places,
            error.shape[3],
            *stride,
            *padding,
            *dilation,
            *weight.shape[2:],
            SUM=tl.float64 if x.dtype == torch.float64 else tl.float32,
            BLOCK=block,
            num_warps=min(8, max(1, block // 256)),
        )
    return rows.flatten(1)
