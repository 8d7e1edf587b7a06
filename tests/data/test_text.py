"""Text: windows, what is masked in them, one-hot tokens, refusals."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.data import DATASETS
from nas_search.data.text import MASK, OTHER, TextOptions, load_text, masked_windows


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "text.txt"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_windows_do_not_overlap_and_hide_their_middle() -> None:
    tokens = np.array([2, 3, 4, 4, 9, 3, 3, 2, 2, 5, 4], dtype=np.uint8)  # the last two are cut off
    windows, labels = masked_windows(tokens, 3, 3)
    assert windows.tolist() == [[2, MASK, 4], [3, MASK, 2]]  # 9 is not told
    assert labels.tolist() == [1, 0]


def test_equal_windows_are_kept_once_whatever_they_hide() -> None:
    tokens = np.array([2, 3, 4, 2, 2, 4, 5, 2, 5], dtype=np.uint8)
    windows, labels = masked_windows(tokens, 3, 3)
    assert windows.tolist() == [[2, MASK, 4], [5, MASK, 5]]
    assert labels.tolist() == [1, 0]


def test_help_texts_are_read_as_one_hot_tokens() -> None:
    data = load_text(TextOptions(samples=600))
    assert data.input_shape == (50, 1, 32)
    assert data.class_names[:3] == ("space", "e", "t")
    assert len(data.train) + len(data.test) == 600
    images = data.train.images(torch.arange(len(data.train)))
    assert torch.equal(images.sum(1), torch.ones(len(images), 1, 32))
    tokens = images.argmax(1)[:, 0]
    assert (tokens[:, 16] == MASK).all()
    assert not (torch.cat([tokens[:, :16], tokens[:, 17:]], 1) == MASK).any()
    seen = {row.numpy().tobytes() for row in tokens}
    held = data.test.images(torch.arange(len(data.test))).argmax(1)[:, 0]
    assert len(seen) == len(data.train)
    assert not seen & {row.numpy().tobytes() for row in held}


def test_what_is_masked_stands_in_the_text(tmp_path: Path) -> None:
    line = "The cat  sat\non the Mat, "
    data = load_text(
        TextOptions(written(tmp_path, line * 40), length=7, symbols=6, classes=3, holdout=0.5)
    )
    text = (line * 40).lower().replace("  ", " ").replace("\n", " ")
    ranked = [symbol for symbol, _ in sorted(Counter(text).items(), key=lambda x: (-x[1], x[0]))]
    assert data.class_names == tuple("space" if s == " " else s for s in ranked[:3])
    for part in (data.train, data.test):
        rows = part.images(torch.arange(len(part))).argmax(1)[:, 0].tolist()
        for row, label in zip(rows, part.labels.tolist(), strict=True):
            told = [
                ranked[label] if t == MASK else "?" if t == OTHER else ranked[t - 2] for t in row
            ]
            pattern = "".join(told)
            assert any(
                all(a in ("?", b) for a, b in zip(pattern, text[at:], strict=False))
                for at in range(len(text) - 7)
            )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 2}, "dataset.length=2 is too small; use 3 or more"),
        ({"symbols": 254}, "dataset.symbols=254 is too large"),
        ({"classes": 20, "symbols": 10}, "dataset.classes=20 is more than dataset.symbols=10"),
        ({"path": "/nowhere/a.txt"}, "cannot read .*a.txt as a text in UTF-8"),
        ({"holdout": 1.5}, "dataset.holdout=1.5"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_text(TextOptions(**options))  # type: ignore[arg-type]


def test_texts_that_are_too_short_or_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 2 different characters, fewer than dataset.classes"):
        load_text(TextOptions(written(tmp_path, "abab")))
    with pytest.raises(InputError, match="is too short: 26 characters make 0 windows of 32"):
        load_text(TextOptions(written(tmp_path, "abcdefghijklmnopqrstuvwxyz")))
    with pytest.raises(InputError, match="26 characters make 0 windows of 1000000000,"):
        load_text(TextOptions(written(tmp_path, "abcdefghijklmnopqrstuvwxyz"), length=10**9))
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="as a text in UTF-8"):
        load_text(TextOptions(str(file)))


def test_it_is_a_data_set_with_a_name() -> None:
    assert DATASETS.get("text").load is load_text
