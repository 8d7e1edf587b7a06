"""The configuration of a look at the data, and at an architecture, typed and checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from nas_search.commands.groups import read_choice, read_space
from nas_search.commands.own_architectures import own_architectures
from nas_search.commands.plugins import import_plugins
from nas_search.commands.prior_choice import read_prior
from nas_search.commands.reading import at_least, beside, read_as, read_group
from nas_search.commands.search_values import GROUPS as SEARCH_GROUPS
from nas_search.commands.search_values import Beside as SearchBeside
from nas_search.core.errors import InputError
from nas_search.data import DATASETS, DatasetRecord
from nas_search.priors import Prior
from nas_search.spaces import SearchSpace


@dataclass(frozen=True)
class Beside:
    """Keys of the configuration that stand beside the groups.

    Attributes:
        images: images of each part that are read, 1 or more.
        classes: classes on the contact sheet, 1 or more.
        samples: samples of each of them, 1 or more.
        architecture: one to look at beside the data; None for none.
        prior: ``auto`` (the shipped one of the search space, if any), ``none``, or a file.
        plugins: modules to import first.
    """

    images: int = at_least(1)
    classes: int = at_least(1)
    samples: int = at_least(1)
    architecture: str | None = None
    prior: str = "auto"
    plugins: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class InspectConfig:
    """A whole look, typed and checked.

    Attributes:
        dataset: the registered data set; ``options`` its options.
        space: the search space that the images are for; ``macro`` the sizes of its networks.
        what: how much is looked at.
        genotype: an architecture to look at too; None for none.
        prior: that says what to expect of it; None for none.
    """

    dataset: DatasetRecord
    options: Any
    space: SearchSpace[Any]
    macro: dict[str, Any]
    what: Beside
    genotype: Any = None
    prior: Prior | None = None


def read_inspect_config(config: DictConfig) -> InspectConfig:
    """Return the typed form of a composed configuration.

    Raises:
        InputError: a key is unknown or has the wrong type or an impossible value; the message says
            which and what is possible.
    """
    what = read_as(Beside, "", _own(config))
    import_plugins(what.plugins)
    record, options = read_choice(DATASETS, "dataset", read_group(config, "dataset"))
    group = read_group(config, "search_space")
    space, macro, _ = read_space(group)
    genotype = prior = None
    if what.architecture is not None:
        (given,) = own_architectures(what.architecture, group, {"name": "none"})
        if given.search_space != space.name:
            raise InputError(
                f"architecture={what.architecture} is of search_space={given.search_space}, not of "
                f"{space.name}: add search_space={given.search_space}"
            )
        genotype, prior = space.parse(given.genotype), read_prior("prior", what.prior, space)
    return InspectConfig(record, options, space, macro, what, genotype, prior)


def _own(config: DictConfig) -> dict[str, Any]:
    """Return the keys of a look beside its groups: an experiment may set any of a search."""
    own = {item.name for item in dataclasses.fields(Beside)}
    of_a_search = {item.name for item in dataclasses.fields(SearchBeside)} - own
    return beside(config, {*SEARCH_GROUPS, *of_a_search})
