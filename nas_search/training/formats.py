"""Export formats of a trained network; each file is checked against the network."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError, RunError
from nas_search.core.installed import how_to_install

TOLERANCE = 1e-4
"""Largest allowed difference of logits, relative to the largest logit."""


def export(network: nn.Module, images: Tensor, folder: Path, name: str) -> float:
    """Write ``network`` as ``model.pt2`` or ``model.onnx`` for batches of any size.

    Args:
        network: network in eval mode, on the CPU.
        images: (n, C, H, W) normalized images for the check, n >= 2.
        folder: folder of the file.
        name: ``pt2`` (torch.export) or ``onnx``.

    Returns:
        The largest difference between logits of file and network, relative to the largest logit.

    Raises:
        InputError: a package is missing.
        RunError: the file computes other logits.
    """
    path = folder / f"model.{name}"
    with torch.no_grad():
        expected = network(images)
        batch = torch.export.Dim("batch", min=1)
        if name == "pt2":
            program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},))
            torch.export.save(program, path)
            logits = torch.export.load(path).module()(images[:-1])
        else:
            logits = _by_onnx(network, images, path, batch)
    difference = float((logits - expected[:-1]).abs().max() / expected.abs().max())
    if not difference <= TOLERANCE:
        path.unlink()
        raise RunError(
            f"the logits of {path} differ by {difference:.1e} of the largest; it was deleted"
        )
    return difference


def check_formats(names: Sequence[str]) -> None:
    """Raise InputError if packages of a format are missing; call it before training."""
    missing = [
        package
        for package in ("onnx", "onnxscript", "onnxruntime")
        if "onnx" in names and importlib.util.find_spec(package) is None
    ]
    if missing:
        raise InputError(f"export to ONNX needs {', '.join(missing)}: {how_to_install('onnx')}")


def _by_onnx(network: nn.Module, images: Tensor, path: Path, batch: object) -> Tensor:
    import onnxruntime

    torch.onnx.export(
        network,
        (images,),
        path,
        input_names=["images"],
        output_names=["logits"],
        dynamo=True,
        dynamic_shapes=({0: batch},),
        verbose=False,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": images[:-1].numpy()})
    return torch.from_numpy(logits)
