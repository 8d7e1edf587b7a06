"""Pictures listed in a text table: one line per picture, with its file and its class."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data.assemble import assign, image_data
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Parts
from nas_search.data.fit import Fit, FitName
from nas_search.data.folders import SPLIT_NAMES, check_alike
from nas_search.data.pictures import STATISTICS_IMAGES, picture_part, size_notes
from nas_search.data.pixels import read_color

USUAL = {
    "file": ("file", "filename", "file_name", "path", "filepath", "image", "img", "picture"),
    "label": ("label", "class", "category", "target", "species"),
    "split": ("split", "set", "part", "subset"),
}
"""Headings of the columns, in any case, where the options name none."""

_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class CsvOptions:
    """Options of ``dataset=csv``.

    Attributes:
        path: the table, with a heading; comma, semicolon, tab or ``|`` between its columns.
        root: folder that relative files lie in; empty for that of the table.
        file: heading of the column of files; empty for a usual one.
        label: heading of the column of classes; empty for a usual one.
        split: heading of the column that says train, val or test; empty for a usual one, if any.
        size: height and width in pixels of the images, 8 or more.
        fit: how pictures that are not square become square.
        background: color behind transparent pixels and around padded pictures.
        holdout: fraction of every class held out for testing where nothing is marked so, in (0, 1).
        holdout_seed: seed of the choice of these images, 0 or more.
    """

    path: str = ""
    root: str = ""
    file: str = ""
    label: str = ""
    split: str = ""
    size: int = 32
    fit: FitName = "crop"
    background: str = "white"
    holdout: float = 0.2
    holdout_seed: int = 0


def load_csv(options: CsvOptions) -> ImageData:
    """Return the pictures that a table lists, as RGB; classes are sorted, numbers by size.

    Raises:
        InputError: the table or a picture cannot be read, or says two things of one picture.
    """
    return image_data(find_csv(options), STATISTICS_IMAGES)


def find_csv(options: CsvOptions) -> Parts:
    """Return the parts of the data set; decodes nothing.

    Raises:
        InputError: as :func:`load_csv`.
    """
    if not options.path:
        raise InputError("dataset=csv needs a table of files and labels; add dataset.path=FILE.csv")
    rule = Fit(options.size, options.fit, read_color(options.background))
    table = user_path(options.path, "dataset.path")
    rows = _read_table(table)
    columns = _columns(table, rows[0], options)
    root = user_path(options.root, "dataset.root") if options.root else table.parent
    listed, left_out = _listed(table, rows[1:], columns, root)
    classes = _sorted({label for label, _ in listed.values()})
    by_role: dict[str, list[tuple[Path, int]]] = {}
    for file, (label, role) in listed.items():
        by_role.setdefault(role, []).append((file, classes.index(label)))
    if "train" not in by_role or len(classes) < 2:
        raise InputError(
            f"{table} lists {len(by_role.get('train', []))} training pictures of {len(classes)} "
            "classes; list some of at least 2"
        )
    check_alike(str(table), classes)
    _check_classes(table, by_role, classes)
    parts = {
        role: picture_part(
            f"{table} {role}",
            [file for file, _ in some],
            [label for _, label in some],
            len(classes),
            rule,
        )
        for role, some in by_role.items()
    }
    train, validation, test, origin = assign(
        parts,
        {role: f"lines marked {role}" for role in parts},
        options.holdout,
        options.holdout_seed,
    )
    used = f"{len(listed):,} of {len(rows) - 1:,} lines used"
    return Parts(
        name="csv",
        class_names=classes,
        train=train,
        test=test,
        validation=validation,
        used=used + "".join(f"; left out: {n:,} {why}" for why, n in left_out.items()),
        form=f"{rule}; {origin}",
        fit=rule.name,
        background=rule.background,
        notes=size_notes(parts["train"].files, rule),
    )


def _read_table(table: Path) -> list[list[str]]:
    """Return the lines of a table that are not empty, the heading first."""
    try:
        text = table.read_bytes().decode("utf-8-sig")
        heading = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=heading.count)
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise InputError(
            f"cannot read {table} ({reason}); give a text table in UTF-8, with a heading"
        ) from error
    if not rows:
        raise InputError(f"{table} is empty; give a heading and one line per picture")
    return rows


def _columns(table: Path, heading: Sequence[str], options: CsvOptions) -> dict[str, int | None]:
    """Return where the columns of files, labels and, if there is one, parts stand."""
    names = [name.strip() for name in heading]
    columns: dict[str, int | None] = {}
    for what, usual in USUAL.items():
        asked = getattr(options, what)
        found = [
            i
            for i, name in enumerate(names)
            if (name == asked if asked else name.casefold() in usual)
        ]
        if len(found) > 1 or (not found and (asked or what != "split")):
            which = f"'{asked}'" if asked else f"of the usual {what} columns ({', '.join(usual)})"
            many = f"{len(found)} columns" if found else "no column"
            raise InputError(
                f"{table} has {many} {which} in its heading {', '.join(names)}; set "
                f"dataset.{what}=COLUMN"
            )
        columns[what] = found[0] if found else None
    return columns


def _listed(
    table: Path, rows: Sequence[Sequence[str]], columns: dict[str, int | None], root: Path
) -> tuple[dict[Path, tuple[str, str]], Counter[str]]:
    """Return class and part of every file, and what was left out by reason."""
    listed: dict[Path, tuple[str, str]] = {}
    left_out: Counter[str] = Counter()
    for number, row in enumerate(rows, 2):
        name, label, split = (
            "" if at is None or at >= len(row) else row[at].strip()
            for at in (columns[what] for what in USUAL)
        )
        if not name or not label:
            raise InputError(f"{table} line {number} lacks its file or its label; complete it")
        role = "train"
        if columns["split"] is not None:
            role = next((r for r, usual in SPLIT_NAMES.items() if split.casefold() in usual), "")
            if not role:
                raise InputError(
                    f"{table} line {number}: '{split}' is no part; write train, val or test"
                )
        file = _file(root, name)
        if file in listed:
            if listed[file] != (label, role):
                raise InputError(
                    f"{table} line {number} says of {name} '{label}' in {role}, an earlier line "
                    f"'{listed[file][0]}' in {listed[file][1]}; keep one"
                )
            left_out["repeated"] += 1
        elif not file.is_file():
            raise InputError(
                f"{table} line {number}: there is no file {file}; correct it, or set "
                "dataset.root=FOLDER"
            )
        else:
            listed[file] = (label, role)
    return listed, left_out


def _file(root: Path, name: str) -> Path:
    """Return the file that a table names, with a backslash between folders if made on Windows."""
    file = root / name
    other = root / name.replace("\\", "/")
    return other if other.is_file() and not file.is_file() else file


def _sorted(labels: set[str]) -> tuple[str, ...]:
    """Return class names in order: whole numbers by size, other names by letters."""
    numbers = all(re.fullmatch(r"-?[0-9]+", label) for label in labels)
    return tuple(sorted(labels, key=(lambda label: (int(label), label)) if numbers else None))


def _check_classes(
    table: Path, by_role: dict[str, list[tuple[Path, int]]], classes: Sequence[str]
) -> None:
    for role, some in by_role.items():
        missing = sorted(set(range(len(classes))) - {label for _, label in some})
        if missing:
            raise InputError(
                f"{table} lists no {role} picture of class '{classes[missing[0]]}'; list some, or "
                "remove the class"
            )


DATASETS.add(
    DatasetRecord(
        name="csv",
        options=CsvOptions,
        load=load_csv,
        description="pictures that a table lists with their classes: dataset.path=FILE.csv",
        find=find_csv,
    )
)
