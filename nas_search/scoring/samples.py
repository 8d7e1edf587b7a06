"""Whether a network runs on the samples that it is scored with, and what one pass of it takes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import forwards_replaced
from nas_search.gradients.backward import check_dtype
from nas_search.gradients.counting import Count, count_network
from nas_search.gradients.forwards import logits_of


def check_samples(network: nn.Module, images: Tensor) -> None:
    """Refuse samples that ``network`` cannot take, by their kind alone.

    Raises:
        InputError: they are no tensor, on another device or of another precision.
    """
    if torch.is_inference_mode_enabled():
        raise InputError("scores take gradients: call score() outside of torch.inference_mode()")
    if not isinstance(images, Tensor):
        raise InputError(f"images are a {type(images).__name__}; give a tensor (n, ...)")
    check_dtype(network)
    first = next((p for p in network.parameters() if p.is_floating_point()), None)
    if first is None:
        return
    if images.device != first.device:
        raise InputError(f"the network is on {first.device} and the images on {images.device}")
    if images.is_floating_point() and images.dtype != first.dtype:
        theirs, own = (str(t.dtype).removeprefix("torch.") for t in (images, first))
        raise InputError(
            f"the network is {own} and the images are {theirs}: images.to(torch.{own})"
        )


def run_once(network: nn.Module, images: Tensor) -> tuple[Count, Tensor]:
    """Run ``network`` on the first of ``images``, and return what it takes and its logits.

    Raises:
        InputError: it does not run, or changes what it is given.
    """
    sample = images[:1].clone()
    try:
        with forwards_replaced(network, {}), torch.no_grad():
            logits = logits_of(network, sample)
            changed = sample._version
            cost = count_network(network, images[:1].clone())
    except InputError:
        raise
    except Exception as error:  # whatever a forward raises
        lines = str(error).strip().splitlines() or [type(error).__name__]
        kind = str(images.dtype).removeprefix("torch.")
        raise InputError(
            f"{type(network).__name__} does not run on a sample of shape {tuple(images.shape[1:])} "
            f"({kind}): {lines[0]}"
        ) from error
    if changed:
        raise InputError(
            f"{type(network).__name__} changes its input in place, so a second pass would see "
            "other samples; let it begin with x = x.clone()"
        )
    return cost, logits
