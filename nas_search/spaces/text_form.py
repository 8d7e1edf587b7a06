"""Parse text forms in Python syntax, ``Genotype(normal=[...])``, without running them.

Texts are taken as programs print them: as the right side of an assignment, behind the time of a log
line, with the name of a module, with numbers as numpy and torch print them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

from nas_search.core.text import quote

MAX_TEXT = 20_000

Fail = Callable[[str, str], NoReturn]
"""Raises InputError for (position, problem)."""

_PRINTED = re.compile(r"(?:u?int\d{0,2}|intp|longlong|str_?|bool_?|a?s?array|tensor|list|tuple)")
"""What numpy, torch and Python write around a plain value: ``np.int64(1)``, ``array([0, 1])``."""

_LOGGED = re.compile(r"\A[^=()\[\]]*?\b(?=\w+\s*=\s*(?:\w+\.)*\w+\()")
"""What a log line has before ``genotype = Genotype(``: a date, a time, a level."""

_ASSIGNED = re.compile(r"""\A\w+\s*[:=]\s*(?=['"|])""")
"""``name =`` before a quoted text, or before a cell of NAS-Bench-201."""


def read_tree(text: str, fail: Fail, repair: Callable[[str], str] = str) -> ast.expr:
    """Return the syntax tree of one expression, or of the one that is assigned to a name.

    Args:
        text: text typed or pasted by a user.
        fail: called with the problem.
        repair: applied to a text that is not Python before a second attempt.
    """
    if len(text) > MAX_TEXT:
        fail("", f"{len(text)} characters are too many for a genotype")
    if "\\" in text:  # no name has one, and Python warns about unknown escapes
        fail("", f"unexpected backslash at character {text.index(chr(92)) + 1}")
    text = _LOGGED.sub("", unwrap(text))
    try:
        try:
            module = ast.parse(text)
        except SyntaxError:
            module = ast.parse(repair(text))
        return _Plain().visit(_expression(module, fail))  # type: ignore[no-any-return]
    except SyntaxError as error:
        fail("", f"{error.msg} at line {error.lineno}, column {error.offset}")
    except (ValueError, RecursionError, MemoryError):  # null bytes, deep nesting
        fail("", "it is not readable as a genotype")


def unwrap(text: str) -> str:
    """Return a text without what stands around it in files: quotes, ``name =``, a final comma."""
    text = _ASSIGNED.sub("", text.strip().removeprefix("\ufeff").strip().rstrip(",;"))
    quoted = len(text) > 1 and text[0] in "'\"" and text.find(text[0], 1) == len(text) - 1
    return text[1:-1].strip() if quoted else text


def last_name(node: ast.expr) -> str:
    """Return ``c`` of ``a.b.c``; empty for any expression but names."""
    if isinstance(node, ast.Attribute):
        return node.attr if last_name(node.value) else ""
    return node.id if isinstance(node, ast.Name) else ""


def read_fields(call: ast.Call, fields: Sequence[str], fail: Fail) -> dict[str, ast.expr]:
    """Return the arguments of ``call`` by name: exactly ``fields``, each once."""
    if len(call.args) > len(fields):
        fail("", f"expected {len(fields)} fields, got {len(call.args)}")
    given = dict(zip(fields, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg not in fields:
            fail("", f"unknown field {quote(keyword.arg)}; possible: {', '.join(fields)}")
        if keyword.arg in given:
            fail(keyword.arg, "given twice")
        given[keyword.arg] = keyword.value
    missing = [field for field in fields if field not in given]
    if missing:
        fail("", f"missing {', '.join(missing)}")
    return given


def _expression(module: ast.Module, fail: Fail) -> ast.expr:
    """Return the only expression of a text."""
    if len(module.body) != 1:
        fail("", f"expected one genotype, got {len(module.body)} lines of Python")
    (statement,) = module.body
    if not isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) or not statement.value:
        fail("", "it is not readable as a genotype")
    return statement.value


class _Plain(ast.NodeTransformer):
    """Replaces ``np.int64(1)`` by ``1``, ``array([0, 1], dtype=int8)`` by ``[0, 1]``."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        printed = _PRINTED.fullmatch(last_name(node.func))
        return node.args[0] if printed and len(node.args) == 1 else node
