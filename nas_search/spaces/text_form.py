"""Parse text forms in Python syntax, ``Genotype(normal=[...])``, without running them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import NoReturn

MAX_TEXT = 20_000

Fail = Callable[[str, str], NoReturn]
"""Raises InputError for (position, problem)."""


def read_tree(text: str, fail: Fail, repair: Callable[[str], str] = str) -> ast.expr:
    """Return the syntax tree of one expression.

    Args:
        text: text typed or pasted by a user.
        fail: called with the problem.
        repair: applied to a text that is not Python before a second attempt.
    """
    if len(text) > MAX_TEXT:
        fail("", f"{len(text)} characters are too many for a genotype")
    if "\\" in text:  # no name has one, and Python warns about unknown escapes
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
    """Return the arguments of ``call`` by name: exactly ``fields``, each once."""
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
    """Return ``value`` as one short line for a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
