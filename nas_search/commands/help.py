"""What the help texts list: choices and scores, read from the folders of the configuration.

Nothing here imports torch, so ``--help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

BASE = "base"
"""The file of a group that holds what its entries share: no choice of its own."""

NOT_MEASURED = "oracle"
"""The choice of ``proxy`` that a ranking cannot measure: it is the accuracy itself."""


def register_help() -> None:
    """Let the help templates in ``conf/hydra/help`` ask for the lists below."""
    OmegaConf.register_new_resolver("nas_search_choices", list_choices, replace=True)
    OmegaConf.register_new_resolver("nas_search_scores", list_scores, replace=True)


def list_choices(*groups: str) -> str:
    """Return one line per group with what can be chosen, those of ``--config-dir`` too."""
    loader = GlobalHydra.instance().config_loader()
    names = {group: sorted(set(loader.get_group_options(group)) - {BASE}) for group in groups}
    return "\n".join(f"{group}: {', '.join(names[group])}" for group in groups)


def list_scores() -> str:
    """Return one line per score that ``nas_search.rank`` can rank, with what it measures."""
    from nas_search.ranking.aggregates import AGGREGATES

    lines = {file.stem: summary(file) for folder in _folders("proxy") for file in folder}
    for other in (BASE, NOT_MEASURED):
        lines.pop(other, None)
    for record in AGGREGATES:
        lines[record.name] = f"{record.summary[0].upper()}{record.summary[1:]} (aggregate)"
    return "\n".join(f"{name:22}  {lines[name]}" for name in sorted(lines))


def summary(file: Path) -> str:
    """Return the comment that a file begins with, which says in one line what it chooses."""
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip().removesuffix(".") if first.startswith("#") else ""


def _folders(group: str) -> Iterator[list[Path]]:
    """Yield the files of a group in each folder that Hydra searches."""
    for place in GlobalHydra.instance().config_loader().get_search_path().get_path():
        if place.path and "://" not in place.path.removeprefix("file://"):
            yield sorted((Path(place.path.removeprefix("file://")) / group).glob("*.yaml"))
