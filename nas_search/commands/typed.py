"""What a person typed: paths with any characters, before Hydra's own grammar reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from nas_search.core.errors import InputError
from nas_search.core.files import user_path

_KEY = re.compile(r"[+~]{0,2}[\w./@:-]*[\w@]")
_TEXT_KEY = re.compile(
    r"[+]{0,2}(?:.*\.)?(?:path|root|dir|subdir|run|weights|architecture|to|on|prior)"
)
"""Keys whose values are paths or genotypes: taken as they stand, whatever they contain."""

_FLAGS_WITH_VALUE = {
    *("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn"),
    *("--package", "-p", "--experimental-rerun", "--cfg", "-c", "--info", "-i"),
}


def readable_by_hydra(arguments: Sequence[str], groups: Collection[str] = ()) -> list[str]:
    """Return command line arguments with the paths in them quoted for Hydra.

    Hydra gives ``,``, ``=``, ``#``, ``~``, parentheses and letters beyond ASCII a meaning or none.
    A path, and a genotype, is taken as it stands, unless Hydra reads it as a list, a quoted text,
    an interpolation, null or, with ``-m``, the values of a sweep.

    Args:
        arguments: as typed, without the program.
        groups: keys that choose a file by its name, also where that looks like a number.

    Raises:
        InputError: the value of another key needs quotes; the message has the form to type.
    """
    sweeping = bool({"-m", "--multirun"} & set(arguments))
    previous = ("", *arguments)
    return [
        argument if before in _FLAGS_WITH_VALUE else _readable(argument, sweeping, groups)
        for before, argument in zip(previous, arguments, strict=False)
    ]


def gathered(arguments: Sequence[str], key: str) -> list[str]:
    """Return command line arguments with those that have no key as one list: ``key=[...]``.

    Args:
        arguments: as typed, without the program.
        key: of the list.
    """
    rest: list[str] = []
    bare: list[str] = []
    place = 0
    for before, argument in zip(("", *arguments), arguments, strict=False):
        name, equals, _ = argument.partition("=")
        has_key = bool(equals) and _KEY.fullmatch(name) is not None
        if before in _FLAGS_WITH_VALUE or has_key or argument.startswith(("-", "~")):
            rest.append(argument)
        else:
            place = place if bare else len(rest)
            bare.append(argument)
    together = [f"{key}=[{','.join(map(quoted, bare))}]"] if bare else []
    return [*rest[:place], *together, *rest[place:]]  # argparse wants overrides in one row


def quoted(value: str) -> str:
    """Return ``value`` as a quoted text of Hydra's grammar."""
    escaped = re.sub(r"(\\*)'", lambda found: 2 * found[1] + "\\'", value)
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", escaped) + "'"


def _readable(argument: str, sweeping: bool, groups: Collection[str]) -> str:
    key, equals, value = argument.partition("=")
    if not equals or not _KEY.fullmatch(key):
        return argument
    override = _parsed(argument)
    if _TEXT_KEY.fullmatch(key):
        meant = override is not None and (
            sweeping
            or not value
            or value[0] in "'\"[{"
            or "${" in value
            or value in ("null", "???")
        )
        if key.endswith(".dir") and value.startswith("~"):  # which Hydra makes as it is written
            value = str(user_path(value, key))
        return argument if meant else f"{key}={quoted(value)}"
    if override is None and value.strip()[:1] not in "'\"[{":
        raise InputError(
            f"{argument}: Hydra's grammar wants quotes around this value; type "
            + shlex.quote(f"{key}={quoted(value)}")
        )
    number = override is not None and isinstance(override.value(), int | float)
    return f"{key}={quoted(value)}" if key in groups and number else argument


def _parsed(argument: str) -> Override | None:
    """Return what Hydra reads; None where its grammar has no place for it."""
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None
