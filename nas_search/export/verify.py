"""Check written folders as a stranger would use them: a fresh process, without this package."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nas_search.data import ImageData
from nas_search.data.base import normalize

TOLERANCE = 1e-4
"""Largest allowed difference of logits, relative to the largest logit."""
_IMAGES = 4
_SECONDS = 600

_SCRIPT = """
import importlib.util, json, sys
job = json.load(open(sys.argv[1], encoding="utf-8"))
sys.path = job["path"]

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in job["forbidden"]:
            raise ImportError(f"it imports {name}")

sys.meta_path.insert(0, Forbid())
import torch

expected = torch.load(job["expected"])
answers = []
for number, folder in enumerate(job["folders"]):
    try:
        spec = importlib.util.spec_from_file_location(f"model{number}", folder + "/model.py")
        model = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = model
        spec.loader.exec_module(model)
        with torch.no_grad():
            logits = model.load()(model.prepare(expected[f"{number} raw"]))
        other = expected[f"{number} logits"]
        same = logits.shape == other.shape and not (logits.isnan() ^ other.isnan()).any()
        scale = other.nan_to_num().abs().max()
        gap = float((logits - other).nan_to_num().abs().max() / scale) if same else float("inf")
        answers.append("" if gap <= job["tolerance"] else
            f"its logits differ by {gap:.1e} of the largest")
    except Exception as error:
        text = " ".join(str(error).split())
        answers.append(f"it does not run ({type(error).__name__}: {text[:200]})")
    json.dump(answers, open(job["answers"], "w", encoding="utf-8"))
"""


@dataclass(frozen=True)
class Written:
    """A folder with a ``model.py``, and what its network gives.

    Attributes:
        folder: the folder.
        raw: (n, C, H, W) training images as stored.
        logits: (n, classes) of the trained network.
        modules: top-level names of the modules that the network comes from.
    """

    folder: Path
    raw: Tensor
    logits: Tensor
    modules: tuple[str, ...]


def written(folder: Path, network: nn.Module, data: ImageData) -> Written:
    """Return what :func:`check_written` needs to know of a folder."""
    raw = data.train.raw(torch.arange(min(_IMAGES, len(data.train))))
    copied = copy.deepcopy(network).cpu().eval()
    with torch.no_grad():
        logits = copied(normalize(raw, data.mean, data.std))
    modules = {type(module).__module__.split(".")[0] for module in network.modules()}
    return Written(folder, raw, logits, tuple(sorted(modules - {"torch", "torchvision"})))


def check_written(folders: Sequence[Written]) -> list[str]:
    """Load each folder in one fresh process without this package, and compare the logits.

    Returns:
        Per folder what is wrong with its ``model.py``, empty where nothing is.
    """
    with tempfile.TemporaryDirectory() as place:
        tensors = {f"{i} raw": one.raw for i, one in enumerate(folders)}
        tensors |= {f"{i} logits": one.logits for i, one in enumerate(folders)}
        torch.save(tensors, f"{place}/expected.pt")
        answers_file = Path(place, "answers.json")
        job = {
            "path": [path for path in sys.path if path],
            "forbidden": ["nas_search", *(name for one in folders for name in one.modules)],
            "folders": [str(one.folder.resolve()) for one in folders],
            "expected": f"{place}/expected.pt",
            "answers": str(answers_file),
            "tolerance": TOLERANCE,
        }
        Path(f"{place}/job.json").write_text(json.dumps(job), encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, "-c", _SCRIPT, f"{place}/job.json"],
                cwd=place,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
            )
            end = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            reason = f"the process that reads it ended ({end[0][:200]})"
        except subprocess.TimeoutExpired:
            reason = f"the process that reads it took more than {_SECONDS} s"
        except OSError as error:
            reason = f"no process could be started to read it ({error.strerror})"
        try:
            answers: list[str] = json.loads(answers_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            answers = []
    return [*answers, *[reason] * (len(folders) - len(answers))]
