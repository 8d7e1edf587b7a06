"""Which files of a folder are which images: splits, classes, and what is left out and why."""

from __future__ import annotations

import stat
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from nas_search.core.errors import InputError
from nas_search.data.tree import Tree, is_hidden, read_tree

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Names of folders that are parts of a data set, in any case."""

_REASONS = 8  # so many are named


@dataclass(frozen=True)
class Labeled:
    """The files of one part and their classes.

    Attributes:
        folder: the part's folder.
        paths: n files, ordered by class.
        labels: their n classes, 0..C-1.
    """

    folder: Path
    paths: tuple[Path, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        classes: names of the classes, sorted.
        parts: files by part: ``train``, and ``validation`` and ``test`` if there are such folders.
        used: one line: how many of how many files are used, which are left out and why.
    """

    classes: tuple[str, ...]
    parts: dict[str, Labeled]
    used: str


def find_images(root: Path, suffixes: Collection[str], level: int | None) -> Found:
    """Return the images below ``root`` by part and class.

    Args:
        root: folder of class folders, or of parts (see :data:`SPLIT_NAMES`) that hold such.
        suffixes: endings of the files that are images, in lower case, with their dot.
        level: 1 if the folders of a part are the classes, 2 if those inside them are; None for
            1 where that is clear.

    Raises:
        InputError: there is no such folder, or it cannot be told which files are which class.
    """
    if level not in (None, 1, 2):
        raise InputError(f"dataset.class_level={level} is not possible; use 1, 2 or null")
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; check dataset.path")
    try:
        tree = read_tree(root)
    except OSError as error:
        raise InputError(
            f"cannot list {error.filename or root} ({error.strerror}); check its permissions"
        ) from error
    roles = _roles(tree)
    left_out: Counter[str] = Counter()
    classes: tuple[str, ...] = ()
    parts: dict[str, Labeled] = {}
    for role, at in roles.items():
        _check_level(tree, at, suffixes, level)
        classes = classes or _class_names(tree, at, level or 1)
        parts[role] = _labeled(tree, at, classes, suffixes, level or 1, left_out)
    used = sum(len(part.paths) for part in parts.values())
    for file in tree.files:
        if () not in roles.values() and file[:1] not in roles.values():
            hidden = any(is_hidden(name) for name in file)
            left_out[
                "hidden" if hidden else f"beside {_few([at[0] for at in roles.values()])}"
            ] += 1
    return Found(classes, parts, _usage(used, len(tree.files), left_out))


def _roles(tree: Tree) -> dict[str, tuple[str, ...]]:
    """Return where each part lies below the root; the training part first."""
    names = tree.names(())
    roles: dict[str, tuple[str, ...]] = {}
    for role, usual in SPLIT_NAMES.items():
        named = [name for name in names if name.casefold() in usual]
        if len(named) > 1:
            raise InputError(
                f"{tree.root} has the folders {' and '.join(named)}, which mean the same part of "
                "the data; merge or rename them"
            )
        if named:
            roles[role] = (named[0],)
    if not roles:
        return {"train": ()}
    if "train" not in roles:
        found = " and ".join(at[0] for at in roles.values())
        raise InputError(
            f"{tree.root} has a folder {found}, but no folder train; put the class folders of the "
            f"training images into {tree.root / 'train'}, or rename {found} if it is a class"
        )
    return roles


def _check_level(
    tree: Tree, at: tuple[str, ...], suffixes: Collection[str], level: int | None
) -> None:
    """Refuse folders whose classes may be the inner ones, and names that look alike."""
    outer = tree.names(at)
    check_alike(str(tree.path(at)), outer)
    holding = {f[:-1] for f in tree.files if Path(f[-1]).suffix.lower() in suffixes}
    if level is not None or any((*at, name) in holding for name in outer):
        return
    inner = Counter(name for folder in outer for name in tree.names((*at, folder)))
    shared = sorted(name for name, count in inner.items() if count > 1 or len(outer) == 1)
    if shared and len(inner) > 1:
        raise InputError(
            f"{tree.path(at)}: are {_few(outer)} the classes, or {_few(sorted(inner))} inside "
            "them? Set dataset.class_level=1 for the first, dataset.class_level=2 for the second"
        )


def _class_names(tree: Tree, at: tuple[str, ...], level: int) -> tuple[str, ...]:
    """Return the sorted names of the classes of a part.

    Raises:
        InputError: there are fewer than two, or names that look alike.
    """
    names = set(tree.names(at))
    if level == 2:
        names = {inner for name in names for inner in tree.names((*at, name))}
        check_alike(str(tree.path(at)), sorted(names))
    if len(names) < 2:
        raise InputError(
            f"{tree.path(at)} has {len(names)} class folder{'s' * (len(names) != 1)}; put the "
            "images of each class into a folder of its own, at least 2"
            + (f"; if {at[0]} is itself a class, rename it" if at else "")
        )
    return tuple(sorted(names))


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()


def check_alike(origin: str, names: Iterable[str]) -> None:
    """Refuse names of classes that people would take for the same.

    Raises:
        InputError: two differ by case, spaces around them or the form of accents alone.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(_alike(name), name)
        if other != name:
            raise InputError(
                f"{origin} has the classes '{other}' and '{name}', which differ by case, spaces or "
                "the form of accents alone; merge them, or rename one if they are two"
            )


def _labeled(
    tree: Tree,
    at: tuple[str, ...],
    classes: tuple[str, ...],
    suffixes: Collection[str],
    level: int,
    left_out: Counter[str],
) -> Labeled:
    """Return the files of one part; add what it leaves out to ``left_out``, by reason."""
    folder = tree.path(at)
    _check_part(folder, _present(tree, at, level), classes)
    found: dict[str, list[Path]] = {name: [] for name in classes}
    for file in tree.files:
        if file[: len(at)] != at or len(file) == len(at):
            continue
        inside = file[len(at) :]
        reason = _reason(tree.path(file), inside, suffixes, level)
        if reason:
            left_out[reason] += 1
        else:
            found[inside[level - 1]].append(tree.path(file))
    for name, paths in found.items():
        if not paths:
            where = folder / name if level == 1 else f"{folder}: class '{name}'"
            raise InputError(
                f"{where} holds no image that is read, as .jpg or .png (docs/data.md); add some or "
                "remove it"
            )
    counts = [(path, label) for label, name in enumerate(classes) for path in sorted(found[name])]
    return Labeled(folder, tuple(p for p, _ in counts), tuple(label for _, label in counts))


def _present(tree: Tree, at: tuple[str, ...], level: int) -> tuple[str, ...]:
    outer = tree.names(at)
    if level == 1:
        return tuple(outer)
    return tuple(sorted({inner for name in outer for inner in tree.names((*at, name))}))


def _check_part(folder: Path, present: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Refuse a part that has not the classes of the training part."""
    if not present:
        raise InputError(
            f"{folder} has no class folders, so its images have no labels; sort them into folders "
            f"named like those of the training images ({_few(classes)}), or move it elsewhere"
        )
    for name in present:
        if name in classes:
            continue
        meant = next((known for known in classes if _alike(known) == _alike(name)), None)
        raise InputError(
            f"{folder / name}: there is no class of this name among the training folders; "
            + (f"rename it to '{meant}'" if meant else "rename or remove it")
        )
    for name in classes:
        if name not in present:
            raise InputError(
                f"{folder} has no folder for the class '{name}'; add it with images, or remove the "
                "class from the training images"
            )


def _reason(path: Path, inside: tuple[str, ...], suffixes: Collection[str], level: int) -> str:
    """Return why a file is no image of a class; empty if it is one."""
    if any(is_hidden(name) for name in inside):
        return "hidden"
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        return f"{suffix or 'without ending'}: no format that is read"
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return "links that lead nowhere"
    if not regular:
        return "no regular files"
    return "" if len(inside) > level else "outside class folders"


def _usage(used: int, total: int, left_out: Counter[str]) -> str:
    text = f"{used:,} of {total:,} files used"
    if left_out:
        often = left_out.most_common(_REASONS)
        reasons = [f"{count:,} {reason}" for reason, count in often]
        rest = left_out.total() - sum(count for _, count in often)
        text += f"; left out: {', '.join([*reasons, f'{rest:,} others'] if rest else reasons)}"
    return text


def _few(names: Collection[str]) -> str:
    """Return the first names of a list, for messages."""
    first = [*names][:3]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "")
