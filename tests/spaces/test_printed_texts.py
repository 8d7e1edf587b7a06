"""Genotypes are read as programs print them and as files hold them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.spaces import SPACES
from nas_search.spaces.darts.genotype import PUBLISHED

DARTS = SPACES.get("darts").space()
CELL201 = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
TEXT = str(PUBLISHED["PC_DARTS"])


def numpy_scalars(text: str) -> str:
    """Return a text of DARTS as NumPy 2 prints it where the nodes are its numbers."""
    for digit in "012345":
        text = text.replace(f" {digit})", f" np.int64({digit}))")
    return text.replace("'sep_conv_3x3'", "np.str_('sep_conv_3x3')")


PRINTED: dict[str, Callable[[str], str]] = {
    "assigned": lambda text: f"genotype = {text}",
    "annotated": lambda text: f"PC_DARTS: Genotype = {text}\n",
    "of a module": lambda text: text.replace("Genotype(", "genotypes.Genotype("),
    "log line": lambda text: f"03/14 09:11:31 PM genotype = {text}",
    "log line with a level": lambda text: f"2019-03-14 09:11:31,123 INFO - genotype = {text}",
    "byte order mark": lambda text: f"\ufeff{text}\n",
    "numpy's numbers": numpy_scalars,
    "numpy's array": lambda text: text.replace(
        "[2, 3, 4, 5]", repr(np.arange(2, 6)).replace("array", "np.array")
    ),
    "torch's tensor": lambda text: text.replace("[2, 3, 4, 5]", repr(torch.arange(2, 6))),
    "tuple of a range": lambda text: text.replace("[2, 3, 4, 5]", "list(range(2, 6))"),
    "quoted": lambda text: f'"{text}"',
    "of a dictionary": lambda text: f"{text},",
    "carriage returns": lambda text: text.replace(", reduce=", ",\r\n    reduce="),
}


ALL = [name for name in SPACES.names() if name != "module"]


@pytest.mark.parametrize("name", ALL)
def test_digits_of_other_scripts_are_refused_and_line_breaks_are_spaces(name: str) -> None:
    space = SPACES.get(name).space()
    for seed in range(5):
        genotype = space.sample(np.random.default_rng(seed))
        assert space.parse(str(genotype).replace(" ", "\n  ")) == genotype
        arabic = str(genotype).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
        with pytest.raises(InputError) as refused:
            space.parse(arabic)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("how", PRINTED)
def test_darts_cells_are_read_as_programs_print_them(how: str) -> None:
    printed = PRINTED[how](TEXT)
    assert printed != TEXT
    assert str(DARTS.parse(printed)) == TEXT


@pytest.mark.parametrize(
    "printed",
    [
        f"'{CELL201}'\n",
        f"arch_str = '{CELL201}'",
        f"\ufeff{CELL201}",
        f"Structure(4 nodes with {CELL201})",
        f"genotype = Structure(4 nodes with {CELL201})",
        f'"{CELL201}",',
    ],
)
def test_nasbench201_cells_are_read_as_programs_print_them(printed: str) -> None:
    assert str(SPACES.get("nasbench201").space().parse(printed)) == CELL201


def test_published_names_may_be_quoted() -> None:
    assert DARTS.parse("'pc-darts'") == PUBLISHED["PC_DARTS"]


@pytest.mark.parametrize(
    "text",
    [
        f"{TEXT}\n{TEXT}",
        "import os",
        f"{TEXT} if True else 1",
        "x = ",
        "genotype: int",
        TEXT.replace("0)", "np.int64(0, 1))"),
        TEXT.replace("0)", "np.int64(open('x')))"),
        TEXT.replace("'sep_conv_3x3'", "(lambda: 1)()"),
        "a" * 30_000,
        f"Genotype(normal={'list(' * 3000}[]{')' * 3000})",
    ],
)
@pytest.mark.parametrize("space", [name for name in SPACES.names() if name != "module"])
def test_other_texts_are_refused_in_one_short_line(space: str, text: str) -> None:
    with pytest.raises(InputError) as caught:
        SPACES.get(space).space().parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
