"""From what Hydra composed to typed, checked dataclasses: the engine never sees a DictConfig.

Groups that choose an entry of a registry (``search_space``, ``algorithm``, ``dataset``) are typed
by that entry's own dataclasses, so a new entry brings its own keys and this file stays as it is.
"""

from __future__ import annotations

import dataclasses
import importlib
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.data import DATASETS, DatasetRecord
from nas_search.gradients import Normalization, Parameters
from nas_search.proxies import PROXIES
from nas_search.scoring import Constraints, Executor, Measuring, Scheme
from nas_search.scoring.initialize import SCHEMES
from nas_search.scoring.table_lookup import ORACLE
from nas_search.search import ALGORITHMS, AlgorithmRecord, Budget
from nas_search.spaces import SPACES, SearchSpace, SpaceRecord
from nas_search.tables import BENCHMARKS, Table
from nas_search.tables.table import NONE
from nas_search.training.choice import FinalistsConfig
from nas_search.training.recipe import Recipe

T = TypeVar("T")


@dataclass(frozen=True)
class ProxyConfig:
    """The score and everything that is part of its definition.

    Attributes:
        name: registered proxy that is the fitness.
        batch_size: n, images of the probe batch, 2 or more.
        classes: number of classes in the probe batch; None means all.
        normalization: batch-norm statistics; None means those of the proxy's definition.
        parameters: parameters that count.
        init: distribution of the initial weights; None means that of the proxy's definition.
        repeats: initial draws over which the score is averaged.
        members: single scores whose ranks make up ``aggregate``; empty for all others.
    """

    name: str
    batch_size: int = 64
    classes: int | None = None
    normalization: str | None = None
    parameters: str = "weights"
    init: str | None = None
    repeats: int = 1
    members: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise InputError(f"proxy.batch_size={self.batch_size} must be 2 or more")
        if self.init is not None and self.init not in SCHEMES:
            raise InputError(f"unknown proxy.init '{self.init}'; possible: {', '.join(SCHEMES)}")

        if self.name in PROXIES.names() and PROXIES.get(self.name).needs_pool:
            members = ",".join(self.members)
            how = f"aggregates={{mine: [{members}]}}" if members else f"proxies=[{self.name}]"
            raise InputError(
                f"proxy={self.name} ranks candidates against each other: it has no score for one "
                "candidate, as a search needs; choose a single score, or rank the architectures of "
                f"a table by it: python -m nas_search.rank '{how}'"
            )

    @property
    def scheme(self) -> Scheme:
        """The checked ``init``, with the proxy's own filled in."""
        return cast(Scheme, self.init or PROXIES.get(self.name).init)

    @property
    def measuring(self) -> Measuring:
        """How the measurement is taken, with the proxy's own normalization filled in.

        A proxy that depends on none gets ``batch``, which then changes nothing.

        Raises:
            InputError: there is no such normalization or set of parameters.
        """
        normalization = self.normalization or PROXIES.get(self.name).normalization or "batch"
        return Measuring(cast(Normalization, normalization), cast(Parameters, self.parameters))


@dataclass(frozen=True)
class SearchConfig:
    """A whole search, typed and checked.

    Attributes:
        seed: the run's seed, 0 or more: all randomness follows from it.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        space: the search space.
        space_options: what it was built with, for the record of the run.
        macro: sizes of the networks that are scored.
        proxy: the score.
        algorithm: the registered algorithm; ``algorithm_options`` its options.
        batch: genotypes that the algorithm proposes at a time; 1 is the published algorithm.
        budget: when to end.
        dataset: the registered data set; ``dataset_options`` its options.
        executor: which workers evaluate.
        constraints: bounds on candidates.
        precision: of the scores' arithmetic.
        top: architectures in the table at the end and with drawings.
        table: accuracies to report of what is found; None when no benchmark is chosen.
        finalists: how many of the best are trained at the end, and how.
        recipe: by which recipe.
    """

    seed: int
    device: str
    space: SearchSpace[Any]
    space_options: dict[str, Any]
    macro: dict[str, Any]
    proxy: ProxyConfig
    algorithm: AlgorithmRecord
    algorithm_options: Any
    batch: int
    budget: Budget
    dataset: DatasetRecord
    dataset_options: Any
    executor: Executor
    constraints: Constraints = field(default_factory=Constraints)
    precision: Precision = "fp32"
    top: int = 10
    table: Table | None = None
    finalists: FinalistsConfig = field(default_factory=FinalistsConfig)
    recipe: Recipe | None = None

    def __post_init__(self) -> None:
        for key, least in (("seed", 0), ("algorithm.batch", 1), ("top", 1)):
            value = getattr(self, key.removeprefix("algorithm."))
            if value < least:
                raise InputError(f"{key}={value} must be {least} or more")
        if self.proxy.name == ORACLE and self.table is None:
            raise InputError(
                "proxy=oracle looks accuracies up in a table: choose benchmark=NAME "
                "benchmark.path=FILE"
            )
        population = getattr(self.algorithm_options, "population", None)
        evaluations = self.budget.evaluations
        if population is not None and evaluations is not None and evaluations < population:
            raise InputError(
                f"budget.evaluations={evaluations} does not even fill the first population "
                f"(algorithm.population={population}); raise the one or lower the other"
            )


@dataclass
class _TopLevel:
    """Keys of the configuration that stand beside the groups."""

    seed: int
    device: str
    precision: str
    top: int
    plugins: list[str]


GROUPS = (
    "search_space",
    "proxy",
    "algorithm",
    "budget",
    "dataset",
    "executor",
    "constraints",
    "benchmark",
    "finalists",
    "recipe",
)


def read_config(config: DictConfig) -> SearchConfig:
    """Return the typed form of a composed configuration.

    Raises:
        InputError: a key is unknown or has the wrong type or an impossible value; the message says
            which and what is possible.
    """
    loose = {str(key) for key in config} - set(GROUPS)
    for item in dataclasses.fields(_TopLevel):
        if item.name not in loose:
            raise InputError(f"{item.name} is missing; set {item.name}=VALUE")
    top = read_as(_TopLevel, "", {key: plain(config[key]) for key in loose})
    import_plugins(top.plugins)
    group = {name: read_group(config, name) for name in GROUPS}
    algorithm = ALGORITHMS.get(read_name(group["algorithm"], "algorithm"))
    dataset = DATASETS.get(read_name(group["dataset"], "dataset"))
    if read_name(group["proxy"], "proxy") != ORACLE:
        PROXIES.get(group["proxy"]["name"])
    space, macro, space_options = read_space(group["search_space"])
    batch = group["algorithm"].pop("batch", 1)
    if not isinstance(batch, int) or isinstance(batch, bool):
        raise InputError(f"algorithm.batch={batch!r} must be a whole number")
    return SearchConfig(
        seed=top.seed,
        device=top.device,
        precision=cast(Precision, top.precision),
        space=space,
        space_options=space_options,
        macro=macro,
        proxy=read_as(ProxyConfig, "proxy", group["proxy"]),
        algorithm=algorithm,
        algorithm_options=read_as(algorithm.options, "algorithm", _nameless(group["algorithm"])),
        batch=batch,
        budget=read_as(Budget, "budget", group["budget"]),
        dataset=dataset,
        dataset_options=read_as(dataset.options, "dataset", _nameless(group["dataset"])),
        executor=read_as(Executor, "executor", group["executor"]),
        constraints=read_as(Constraints, "constraints", group["constraints"]),
        top=top.top,
        table=read_table(space, group["benchmark"]),
        finalists=read_finalists(group["finalists"]),
        recipe=read_as(Recipe, "recipe", group["recipe"]),
    )


def read_beside(schema: type[T], config: DictConfig, groups: Sequence[str]) -> T:
    """Return the keys of a configuration beside its groups; imports the plugins that they name.

    Raises:
        InputError: an unknown key, a wrong type, or a plugin that cannot be imported.
    """
    values = {str(key): plain(config[key]) for key in config if key not in groups}
    if isinstance(values.get("plugins"), list):
        import_plugins(values["plugins"])
    return read_as(schema, "", values)


def import_plugins(modules: Sequence[str]) -> None:
    """Import a user's own modules, which register what they bring.

    Raises:
        InputError: one cannot be imported.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # somebody else's code
            reason = f"{type(error).__name__}: {_first_line(error)}"
            raise InputError(f"plugins: cannot import '{module}' ({reason})") from error


def read_space(
    values: dict[str, Any],
) -> tuple[SearchSpace[Any], dict[str, Any], dict[str, Any]]:
    """Return the space that the group ``search_space`` chooses, its skeleton and its options.

    Raises:
        InputError: there is no such space, key or value.
    """
    record = SPACES.get(read_name(values, "search_space"))
    macro, options = _split_space(record, values)
    return record.space(**options), macro, options


def read_table(space: SearchSpace[Any], values: dict[str, Any]) -> Table | None:
    """Return the table that the group ``benchmark`` chooses; None for ``benchmark=none``.

    Raises:
        InputError: there is no such reader or file, or the table is of another space.
    """
    if read_name(values, "benchmark") == NONE:
        _check_keys("benchmark", _nameless(values), ())
        return None
    record = BENCHMARKS.get(values["name"])
    return record.read(space, read_as(record.options, "benchmark", _nameless(values)))


def read_finalists(values: dict[str, Any]) -> FinalistsConfig:
    """Return the group ``finalists``.

    Raises:
        InputError: an unknown key or an impossible value.
    """
    return read_as(FinalistsConfig, "finalists", values)


def plain(value: Any) -> Any:
    """Return a value of a composed configuration as plain containers."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def read_group(config: DictConfig, name: str) -> dict[str, Any]:
    """Return the keys of a group.

    Raises:
        InputError: it is absent or not a group.
    """
    try:
        values = plain(config[name])
    except OmegaConfBaseException as error:
        raise InputError(f"{name}: {_first_line(error)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{name} must be a group of keys, got {values!r}")
    return values


def read_name(values: dict[str, Any], group: str) -> str:
    """Return which entry a group chooses.

    Raises:
        InputError: it does not say.
    """
    if not isinstance(values.get("name"), str):
        raise InputError(f"{group}.name is missing; choose with {group}=NAME")
    return str(values["name"])


def _nameless(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "name"}


def _split_space(
    record: SpaceRecord, values: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate the skeleton's sizes from the options of the space itself."""
    sizes = {item.name for item in dataclasses.fields(record.macro)}
    own = {item.name for item in dataclasses.fields(record.options)}
    _check_keys("search_space", _nameless(values), sizes | own)
    macro = read_as(record.macro, "search_space", {k: v for k, v in values.items() if k in sizes})
    options = read_as(record.options, "search_space", {k: v for k, v in values.items() if k in own})
    return dataclasses.asdict(macro), dataclasses.asdict(options)


def read_as(schema: type[T], where: str, values: dict[str, Any]) -> T:
    """Return ``schema(**values)`` with every value converted to its field's type.

    Raises:
        InputError: a key is unknown or a value has the wrong type.
    """
    known = [item.name for item in dataclasses.fields(cast(Any, schema))]
    _check_keys(where, values, known)
    prefix = f"{where}." if where else ""
    hints = typing.get_type_hints(schema)
    parts = {
        key: read_as(hints[key], f"{prefix}{key}", value)
        for key, value in values.items()
        if dataclasses.is_dataclass(hints[key]) and isinstance(value, dict)
    }
    rest = {key: value for key, value in values.items() if key not in parts}
    try:
        typed = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(schema), rest))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        raise InputError(f"{prefix}{key}: {_first_line(error)}") from None
    given = {key: value for key, value in cast(dict[str, Any], typed).items() if key in values}
    return schema(**{**given, **parts})


def _check_keys(where: str, values: dict[str, Any], known: Any) -> None:
    prefix = f"{where}." if where else ""
    for key in values:
        if key not in known:
            raise InputError(f"unknown key '{prefix}{key}'; possible: {', '.join(sorted(known))}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")
