"""What the help texts list: choices and scores, read from the folders of the configuration.

Nothing here imports torch, so ``--help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from nas_search.commands.explanations import Explained, of_group

BASE = "base"
"""The file of a group that holds what its entries share: no choice of its own."""

WIDTH = 96
"""Characters of a line of values."""

NOT_MEASURED = "oracle"
"""The choice of ``proxy`` that a ranking cannot measure: it is the accuracy itself."""


def register_help() -> None:
    """Let the help templates in ``conf/hydra/help`` ask for the lists below."""
    OmegaConf.register_new_resolver("nas_search_choices", list_choices, replace=True)
    OmegaConf.register_new_resolver("nas_search_scores", list_scores, replace=True)
    OmegaConf.register_new_resolver("nas_search_values", list_values, replace=True)


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


def list_values(*groups: str, _root_: DictConfig) -> str:
    """Return every key with its value now, and below it what it means.

    Args:
        groups: whose keys are listed beside those of no group; all if none is named.
        _root_: the composed configuration.
    """
    command = str(_root_.hydra.job.config_name)
    explained = of_group(_files("", command))
    lines: list[str] = []
    for key in _root_:
        if key != "hydra" and not isinstance(_root_[key], DictConfig):
            lines += _explained([(str(key), _root_[key])], explained)
    for group in (str(key) for key in _root_ if isinstance(_root_[key], DictConfig)):
        choice = _root_.hydra.runtime.choices.get(group)
        if group == "hydra" or group not in (groups or (group,)):
            continue
        said = explained
        if choice is not None:
            said = of_group([*_files(group, str(choice)), *_files(group, BASE)])
            said = {f"{group}.{name}": text for name, text in said.items()}
        lines += _explained(list(_leaves(_root_[group], group)), said)
    return "\n".join(lines)


def _explained(values: list[tuple[str, Any]], explained: Explained) -> list[str]:
    """Return lines for keys and values; neighbors that share an explanation stand above it."""
    lines = []
    for said, together in groupby(values, lambda entry: explained.get(entry[0], "")):
        pairs = [f"{key}={_shown(value)}" for key, value in together]
        pairs = [one if len(one) <= WIDTH else one.replace(",", ", ") for one in pairs]
        text = "  ".join(pairs)
        lines += wrap(
            text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        lines += wrap(said, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def _leaves(config: DictConfig, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in map(str, config):
        key = f"{prefix}.{name}"
        if "." not in prefix and name in ("name", "source"):  # the choice itself
            continue
        value = "???" if OmegaConf.is_missing(config, name) else config[name]
        if isinstance(value, DictConfig) and value:
            yield from _leaves(value, key)
        else:
            yield key, value


def _shown(value: Any) -> str:
    """Return a value as it is typed."""
    if OmegaConf.is_list(value):
        return f"[{','.join(map(str, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        {None: "null", "": '""'}.get(value, str(value)) if not OmegaConf.is_config(value) else "{}"
    )


def _files(group: str, name: str) -> list[Path]:
    """Return the files of a choice, those of ``--config-dir`` first."""
    return [file for folder in _folders(group) for file in folder if file.stem == name]


def summary(file: Path) -> str:
    """Return the comment that a file begins with, which says in one line what it chooses."""
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip().removesuffix(".") if first.startswith("#") else ""


def _folders(group: str) -> Iterator[list[Path]]:
    """Yield the files of a group in each folder that Hydra searches."""
    for place in GlobalHydra.instance().config_loader().get_search_path().get_path():
        if place.path and "://" not in place.path.removeprefix("file://"):
            yield sorted((Path(place.path.removeprefix("file://")) / group).glob("*.yaml"))
