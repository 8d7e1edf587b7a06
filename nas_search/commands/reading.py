"""From what Hydra composed to typed, checked dataclasses: the engine never sees a DictConfig.

A schema is a dataclass. A field typed as a ``Literal`` takes one of its values; one made by
:func:`at_least` is a number with a lower bound; one that is a list of texts or numbers takes a
single one without brackets. Every message names the key as the user writes it.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import field, make_dataclass
from typing import Any, Literal, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean

T = TypeVar("T")

RENAMED = {
    "proxy.normalisation": "proxy.normalization",
    "normalisation": "normalization",
    "executor.population": "executor.stack",
}
"""Keys of earlier versions, and what they are called now."""

_REQUIRED = object()


def at_least(least: int, default: Any = _REQUIRED) -> Any:
    """Return the field of a schema that holds a number of ``least`` or more; None passes."""
    metadata = {"least": least}
    if default is _REQUIRED:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def read_as(schema: type[T], where: str, values: dict[str, Any]) -> T:
    """Return ``schema(**values)`` with every value converted to its field's type.

    Args:
        schema: a dataclass; fields that are dataclasses themselves are read from groups of keys.
        where: group that the keys stand in, as in ``proxy`` for ``proxy.batch_size``; empty for
            keys beside the groups.
        values: what was given by key.

    Raises:
        InputError: a key is unknown or missing, or a value has the wrong type or is not possible.
    """
    fields = {item.name: item for item in dataclasses.fields(cast(Any, schema))}
    check_keys(where, values, fields)
    hints = typing.get_type_hints(schema)
    read: dict[str, Any] = {}
    for name, item in fields.items():
        key = f"{where}.{name}" if where else name
        if name in values:
            read[name] = _read_value(hints[name], key, values[name])
            _check_bound(item, key, read[name])
        elif item.default is item.default_factory is dataclasses.MISSING:
            raise InputError(f"{key} is missing; set {key}=VALUE")
    return schema(**read)


def read_parts(where: str, values: dict[str, Any], *schemas: type[Any]) -> list[Any]:
    """Return one object of each schema, which share the keys of one group.

    Raises:
        InputError: as :func:`read_as`.
    """
    names = [{item.name for item in dataclasses.fields(schema)} for schema in schemas]
    check_keys(where, values, set().union(*names))
    return [
        read_as(schema, where, {key: value for key, value in values.items() if key in own})
        for schema, own in zip(schemas, names, strict=True)
    ]


def _read_value(hint: Any, key: str, value: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return read_as(cast(type[Any], hint), key, value)
    choices = _choices(hint)
    if choices is not None:
        if value in choices:
            return value
        names = [choice for choice in choices if choice is not None]
        raise InputError(
            f"unknown {key} '{value}'{did_you_mean(str(value), names)}; possible: "
            f"{', '.join(names)}"
        )
    if _lists_values(hint) and isinstance(value, str | int | float) and value != "":
        value = [value]
    try:
        schema = OmegaConf.structured(make_dataclass("Value", [("value", hint)]))
        return OmegaConf.to_container(OmegaConf.merge(schema, {"value": value}))["value"]  # type: ignore[call-overload,index]
    except (OmegaConfBaseException, OverflowError) as error:  # a number of 400 digits
        below = (getattr(error, "full_key", None) or "").removeprefix("value")
        if re.search("is not a ListConfig|Cannot merge DictConfig with ListConfig", str(error)):
            lists = " of lists, e.g. [[...]]" if isinstance(value, list) and not below else ""
            around = ": write [] for none" if value in ("", {}) else ": write [...] around it"
            raise InputError(f"{key}{below} must be a list{lists or around}") from None
        raise InputError(f"{key}{below}: {first_line(error)}") from None


def _lists_values(hint: Any) -> bool:
    """Whether a type is a list of texts or numbers, also one that may be None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(map(_lists_values, typing.get_args(hint)))
    return typing.get_origin(hint) is list and typing.get_args(hint)[0] in (str, int, float)


def _choices(hint: Any) -> tuple[Any, ...] | None:
    """Return the values of a ``Literal``, or of one that may be None; None for other types."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        literal, *rest = sorted(typing.get_args(hint), key=lambda part: part is type(None))
        if typing.get_origin(literal) is Literal and rest == [type(None)]:
            return (*typing.get_args(literal), None)
    return None


def _check_bound(item: dataclasses.Field[Any], key: str, value: Any) -> None:
    least = item.metadata.get("least")
    if least is not None and value is not None and value < least:
        raise InputError(f"{key}={value} must be {least} or more")


def check_keys(where: str, values: Iterable[str], possible: Iterable[str]) -> None:
    """Refuse keys that a group does not have.

    Raises:
        InputError: there is one; the message says what it is called now, or what is possible.
    """
    possible = sorted(possible)
    for name in values:
        if name not in possible:
            key = f"{where}.{name}" if where else name
            guess = did_you_mean(name, possible)
            raise InputError(
                renamed(key) or f"unknown key '{key}'{guess}; possible: {', '.join(possible)}"
            )


def renamed(key: str) -> str:
    """Return what to write instead of a key of an earlier version; empty where it is none."""
    return f"{key} is now called {RENAMED[key]}; rename it" if key in RENAMED else ""


def beside(config: DictConfig, groups: Iterable[str]) -> dict[str, Any]:
    """Return the keys of a composed configuration that stand beside its groups."""
    return {str(key): plain(config[key]) for key in config if str(key) not in groups}


def as_composed(config: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as it stands, interpolations and all."""
    return cast(dict[str, Any], OmegaConf.to_container(config))


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
        raise InputError(f"{name}: {first_line(error)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{name} must be a group of keys, got {values!r}")
    return values


def read_name(values: dict[str, Any], group: str) -> str:
    """Return which entry a group chooses.

    Raises:
        InputError: its name is missing.
    """
    name = values.get("name")
    if not isinstance(name, str) or name == "???":
        raise InputError(f"{group}.name is missing; choose with {group}=NAME")
    return name


def nameless(values: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a group but for the name of the entry that it chooses."""
    return {key: value for key, value in values.items() if key != "name"}


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return next(iter(str(error).strip().splitlines()), "no message")
