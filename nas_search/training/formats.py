"""Other forms of a trained network, each checked against it before it counts as written."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError, RunError

TOLERANCE = 1e-4
"""Greatest difference of logits, in units of the largest."""


def export(network: nn.Module, images: Tensor, folder: Path, name: str) -> float:
    """Write ``network`` as ``model.pt2`` or ``model.onnx`` for batches of any size.

    Args:
        network: in evaluation mode, on the CPU.
        images: (n, C, H, W) prepared images, 2 or more, that the check compares logits on.
        folder: where the file goes.
        name: ``pt2`` (torch.export) or ``onnx``.

    Returns:
        The greatest difference of logits between file and network, in units of the largest logit.

    Raises:
        InputError: a package is missing.
        RunError: the written form computes something else.
    """
    path = folder / f"model.{name}"
    with torch.no_grad():
        expected = network(images)
        batch = torch.export.Dim("batch", min=1)
        if name == "pt2":
            program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},))
            torch.export.save(program, path)
            got = torch.export.load(path).module()(images[:-1])
        else:
            got = _by_onnx(network, images, path, batch)
    difference = float((got - expected[:-1]).abs().max() / expected.abs().max())
    if not difference <= TOLERANCE:
        path.unlink()
        raise RunError(
            f"the logits of {path} differ by {difference:.1e} of the largest; it was deleted"
        )
    return difference


def check_formats(names: Sequence[str]) -> None:
    """Raise InputError, before anything is trained, where a format's packages are missing."""
    missing = [
        package
        for package in ("onnx", "onnxscript", "onnxruntime")
        if "onnx" in names and importlib.util.find_spec(package) is None
    ]
    if missing:
        raise InputError(
            f"export to ONNX needs {', '.join(missing)}: pip install 'nas-search[onnx]'"
        )


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
