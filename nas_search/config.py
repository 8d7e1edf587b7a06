"""From what Hydra composed to typed, checked dataclasses: the engine never sees a DictConfig.

Groups that choose an entry of a registry (``search_space``, ``algorithm``, ``dataset``) are typed
by that entry's own dataclasses, so a new entry brings its own keys and this file stays as it is.
"""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_search.data import DATASETS, DatasetRecord
from nas_search.errors import InputError
from nas_search.gradients import Normalisation, Parameters
from nas_search.proxies import PROXIES
from nas_search.scoring import Constraints, Executor, Measuring, Scheme
from nas_search.scoring.initialise import SCHEMES
from nas_search.search import ALGORITHMS, AlgorithmRecord, Budget
from nas_search.spaces import SPACES, SearchSpace, SpaceRecord

T = TypeVar("T")


@dataclass(frozen=True)
class ProxyConfig:
    """The score and everything that is part of its definition.

    Attributes:
        name: registered proxy that is the fitness.
        batch_size: n, images of the probe batch, 2 or more.
        classes: number of classes in the probe batch; None means all.
        normalisation: batch-norm statistics; None means those of the proxy's definition.
        parameters: parameters that count.
        init: distribution of the initial weights; None means that of the proxy's definition.
        repeats: initial draws over which the score is averaged.
        members: single scores whose ranks make up ``aggregate``; empty for all others.
    """

    name: str
    batch_size: int = 64
    classes: int | None = None
    normalisation: str | None = None
    parameters: str = "weights"
    init: str | None = None
    repeats: int = 1
    members: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise InputError(f"proxy.batch_size={self.batch_size} must be 2 or more")
        if self.init is not None and self.init not in SCHEMES:
            raise InputError(f"unknown proxy.init '{self.init}'; possible: {', '.join(SCHEMES)}")

    @property
    def scheme(self) -> Scheme:
        """The checked ``init``, with the proxy's own filled in."""
        return cast(Scheme, self.init or PROXIES.get(self.name).init)

    @property
    def measuring(self) -> Measuring:
        """How the measurement is taken, with the proxy's own normalisation filled in.

        A proxy that depends on none gets ``batch``, which then changes nothing.

        Raises:
            InputError: there is no such normalisation or set of parameters.
        """
        normalisation = self.normalisation or PROXIES.get(self.name).normalisation or "batch"
        return Measuring(cast(Normalisation, normalisation), cast(Parameters, self.parameters))


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
        top: architectures in the table at the end and with drawings.
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
    top: int = 10

    def __post_init__(self) -> None:
        for key, least in (("seed", 0), ("algorithm.batch", 1), ("top", 1)):
            value = getattr(self, key.removeprefix("algorithm."))
            if value < least:
                raise InputError(f"{key}={value} must be {least} or more")
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
    top = _read(_TopLevel, "", {key: _plain(config[key]) for key in loose})
    for module in top.plugins:
        try:
            importlib.import_module(module)
        except Exception as error:  # somebody else's code
            reason = f"{type(error).__name__}: {_first_line(error)}"
            raise InputError(f"plugins: cannot import '{module}' ({reason})") from error
    group = {name: _group(config, name) for name in GROUPS}
    space = SPACES.get(_name(group["search_space"], "search_space"))
    algorithm = ALGORITHMS.get(_name(group["algorithm"], "algorithm"))
    dataset = DATASETS.get(_name(group["dataset"], "dataset"))
    PROXIES.get(_name(group["proxy"], "proxy"))
    macro, space_options = _split_space(space, group["search_space"])
    batch = group["algorithm"].pop("batch", 1)
    if not isinstance(batch, int) or isinstance(batch, bool):
        raise InputError(f"algorithm.batch={batch!r} must be a whole number")
    return SearchConfig(
        seed=top.seed,
        device=top.device,
        space=space.space(**space_options),
        space_options=space_options,
        macro=macro,
        proxy=_read(ProxyConfig, "proxy", group["proxy"]),
        algorithm=algorithm,
        algorithm_options=_read(algorithm.options, "algorithm", _nameless(group["algorithm"])),
        batch=batch,
        budget=_read(Budget, "budget", group["budget"]),
        dataset=dataset,
        dataset_options=_read(dataset.options, "dataset", _nameless(group["dataset"])),
        executor=_read(Executor, "executor", group["executor"]),
        constraints=_read(Constraints, "constraints", group["constraints"]),
        top=top.top,
    )


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _group(config: DictConfig, name: str) -> dict[str, Any]:
    try:
        values = _plain(config[name])
    except OmegaConfBaseException as error:
        raise InputError(f"{name}: {_first_line(error)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{name} must be a group of keys, got {values!r}")
    return values


def _name(values: dict[str, Any], group: str) -> str:
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
    macro = _read(record.macro, "search_space", {k: v for k, v in values.items() if k in sizes})
    options = _read(record.options, "search_space", {k: v for k, v in values.items() if k in own})
    return dataclasses.asdict(macro), dataclasses.asdict(options)


def _read(schema: type[T], where: str, values: dict[str, Any]) -> T:
    """Return ``schema(**values)`` with every value converted to its field's type."""
    known = [item.name for item in dataclasses.fields(cast(Any, schema))]
    _check_keys(where, values, known)
    prefix = f"{where}." if where else ""
    try:
        typed = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(schema), values))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        raise InputError(f"{prefix}{key}: {_first_line(error)}") from None
    return schema(**cast(dict[str, Any], typed))


def _check_keys(where: str, values: dict[str, Any], known: Any) -> None:
    prefix = f"{where}." if where else ""
    for key in values:
        if key not in known:
            raise InputError(f"unknown key '{prefix}{key}'; possible: {', '.join(sorted(known))}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")
