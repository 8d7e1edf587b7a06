"""Programs of a trained network: pixels in, probabilities out; each is checked."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError, RunError
from nas_search.core.installed import how_to_install
from nas_search.export.predicting import Preparation, Prepared

TOLERANCE = 1e-4
"""Largest allowed difference of probabilities."""


def export(
    network: nn.Module,
    raw: Tensor,
    folder: Path,
    name: str,
    preparation: Preparation,
    classes: Sequence[str],
) -> float:
    """Write ``network`` with its preparation as ``model.pt2`` or ``model.onnx``.

    The program takes pixels (n, C, H, W) as :func:`.predicting.read_pictures` gives them, any n,
    and returns probabilities (n, classes). The names of the classes go with it.

    Args:
        network: network in eval mode, on the CPU.
        raw: (n, C, H, W) pixels for the check, n >= 2.
        folder: folder of the file.
        name: ``pt2`` (torch.export) or ``onnx``.
        preparation: how pixels become the network's input.
        classes: names of the classes.

    Returns:
        The largest difference between probabilities of file and network.

    Raises:
        RunError: the network cannot be exported, the disk refuses, or the file computes something
            else; no file is left.
    """
    path = folder / f"model.{name}"
    beside = folder / f"part.model.{name}"  # its ending is looked at
    write = _write_pt2 if name == "pt2" else _write_onnx
    prepared = Prepared(copy.deepcopy(network), preparation).eval().requires_grad_(False)
    try:
        with torch.no_grad():
            run = write(prepared, raw, beside, classes)
            difference = float((run(raw[:-1]) - prepared(raw[:-1])).abs().max())
    except Exception as error:  # compilers raise dozens of types
        beside.unlink(missing_ok=True)
        reason = (" ".join(str(error).split()) or type(error).__name__)[:300]
        raise RunError(f"cannot write {path} ({reason})") from error
    if not difference <= TOLERANCE:
        beside.unlink()
        raise RunError(f"cannot write {path}: its probabilities differ by {difference:.1e}")
    beside.replace(path)
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


Run = Callable[[Tensor], Tensor]


def _write_pt2(prepared: nn.Module, raw: Tensor, path: Path, classes: Sequence[str]) -> Run:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(prepared, (raw,), dynamic_shapes=({0: batch},))
    torch.export.save(program, path, extra_files={"classes.json": json.dumps(list(classes))})
    run: Run = torch.export.load(path).module()
    return run


def _write_onnx(prepared: nn.Module, raw: Tensor, path: Path, classes: Sequence[str]) -> Run:
    import onnx
    import onnxruntime

    torch.onnx.export(
        prepared,
        (raw,),
        path,
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"classes": json.dumps(list(classes))})
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(pixels: Tensor) -> Tensor:
        (probabilities,) = session.run(None, {"pixels": pixels.numpy()})
        return torch.from_numpy(probabilities)

    return run
