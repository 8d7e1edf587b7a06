"""Reading text forms that look like Python, ``Genotype(normal=[...])``, without running them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import NoReturn

MAX_TEXT = 20_000

Fail = Callable[[str, str], NoReturn]
"""Raises InputError for (where, what is wrong there)."""


def read_tree(text: str, fail: Fail, repair: Callable[[str], str] = str) -> ast.expr:
    """Return the syntax tree of one expression.

    Args:
        text: what a user typed or pasted.
        fail: called with what is wrong.
        repair: applied to a text that is no Python, which is then read again.
    """
    if len(text) > MAX_TEXT:
        fail("", f"{len(text)} characters are too many for a genotype")
    if "\\" in text:  # no name has one, and Python warns about escapes that it does not know
        fail("", f"unexpected backslash at character {text.index(chr(92)) + 1}")
    try:
        try:
            return ast.parse(text.strip(), mode="eval").body
        except SyntaxError:
            return ast.parse(repair(text.strip()), mode="eval").body
    except SyntaxError as error:
        fail("", f"{error.msg} at line {error.lineno}, column {error.offset}")
    except (ValueError, RecursionError, MemoryError):  # null bytes, deep nesting
        fail("", "it is not readable as a genotype")


def read_fields(call: ast.Call, fields: Sequence[str], fail: Fail) -> dict[str, ast.expr]:
    """Return the arguments of ``call`` by name: each of ``fields`` once, and nothing else."""
    if len(call.args) > len(fields):
        fail("", f"expected {len(fields)} fields, got {len(call.args)}")
    given = dict(zip(fields, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg not in fields:
            fail("", f"unknown field '{keyword.arg}'; possible: {', '.join(fields)}")
        if keyword.arg in given:
            fail(keyword.arg, "given twice")
        given[keyword.arg] = keyword.value
    missing = [field for field in fields if field not in given]
    if missing:
        fail("", f"missing {', '.join(missing)}")
    return given


def quote(value: object) -> str:
    """Return ``value`` as it is shown in a message: one line, not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
