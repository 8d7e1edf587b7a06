"""A checkpoint is what was saved, or it is refused: by its own checksums, to the last bit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.training import checkpoint


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return bool(one == other)


def test_every_bit_that_flips_is_noticed_or_does_not_matter(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    state = {
        "identity": {"seed": 0},
        "network": {f"w{n}": torch.randn(50, generator=generator) for n in range(10)},
    }
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, state)
    whole = path.read_bytes()
    rng, noticed = random.Random(0), 0
    for _ in range(200):
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        try:
            read = checkpoint.load(path, "cpu")
        except InputError as error:
            noticed += 1
            assert "is damaged" in str(error)
            continue
        assert same(read, state)
    assert noticed > 50


def test_what_is_no_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    assert checkpoint.load(path, "cpu") is None
    for state in ([1], {"identity": 1}, {}):
        checkpoint.save(path, state)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="is damaged .* delete it to train anew"):
            checkpoint.load(path, "cpu")
    with pytest.raises(InputError, match="is damaged"), checkpoint.restoring(path):
        torch.nn.Linear(2, 2).load_state_dict({"weight": torch.ones(3)})
