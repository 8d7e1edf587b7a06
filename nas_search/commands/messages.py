"""What went wrong, in one line for the person who typed the command."""

from __future__ import annotations

import re
from pathlib import Path

from nas_search.commands.guesses import meant_choice, meant_key
from nas_search.commands.help import BASE
from nas_search.commands.reading import renamed
from nas_search.core.text import shorten

LONGEST = 1000
"""Characters of a message; what is longer quotes something that nobody wants to read."""


def one_line(error: Exception, command: str, conf: Path, config: str) -> str:
    """Return what ``error`` means for a person who typed ``python -m command ...``.

    Args:
        error: what was raised.
        command: the command, for the way to its help.
        conf: the folder of the configuration.
        config: name of the command's file in it.
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}; choose another hydra.run.dir"
    text = str(error)
    unknown = re.search(r"Could not (?:find|load) '([^']+)/([^'/]+)'", text)
    options = re.search(r"Available options in '[^']+':\n((?:\t.+\n?)+)", text)
    if unknown and options:
        group, name = unknown[1], unknown[2]
        possible = [option for option in options[1].split() if option != BASE]
        refusal = ranks_only(name) if group == "proxy" else ""
        guess = meant_choice(group, name, possible)
        return refusal or f"unknown {group} '{name}'{guess}; possible: {', '.join(possible)}"
    key = re.search(r"Could not override '([^']+)'", text)
    if key:
        inner = re.search(r"full_key: (\S+)", str(error.__cause__))
        if inner and inner[1].startswith(f"{key[1]}."):  # {name: value} for a group
            return f"unknown key '{inner[1]}'; see python -m {command} --help for the keys"
        guess = meant_key(key[1], conf, config)
        unknown_key = f"unknown key '{key[1]}'{guess}; see python -m {command} --help for the keys"
        return renamed(key[1]) or unknown_key
    if several := re.match(r"Ambiguous value for argument '([^=]+)=(.*)'\n1\.", text):
        name, values = several[1], several[2]
        return (
            f"{name}={values}: write '{name}=[{values}]' for a list, or add --multirun for a run "
            f"of each (a text with commas in it: \"{name}='{values}'\")"
        )
    if merged := re.match(r"Error merging override ([^=]+)=(.*)", text):
        listed = "object_type=list" in str(error.__cause__)
        needed = "a list, as [...]" if listed else f"values by name, as {merged[1]}.NAME=VALUE"
        return f"{merged[1]} must be {needed}, not {merged[2]}; see python -m {command} --help"
    if loaded := re.search(r"Could not load '([^']+)/([^'/]+)'", text):
        return f"{loaded[1]} takes one name, as {loaded[1]}=NAME; see python -m {command} --help"
    line = " ".join(line.strip() for line in text.splitlines() if line.strip())
    shown = "".join(letter if letter.isprintable() else "?" for letter in line)
    if len(shown) <= LONGEST:
        return shown
    return shorten(shown, LONGEST * 3 // 4) + " " + shown[-LONGEST // 4 :]


def ranks_only(name: str) -> str:
    """Return why an aggregate of ranks cannot be ``proxy=name``; empty for all other names."""
    from nas_search.ranking.aggregates import AGGREGATES

    if name not in AGGREGATES.names():
        return ""
    members = AGGREGATES.get(name).members
    how = f"proxies=[{name}]" if members else "aggregates={mine: [NAME, NAME]}"
    return (
        f"proxy={name} ranks candidates against each other: it has no score for one candidate, as "
        "a search needs; choose a single score, or rank the architectures of a table by it: "
        f"python -m nas_search.rank '{how}'"
    )
