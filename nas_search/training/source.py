"""The source of a class, with everything it uses, as one file that needs only torch.

The definitions that a class refers to, directly or through others, are collected from their modules
and written in an order in which they can run. This works for a user's own search space too, if its
network uses only torch and the standard library.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from nas_search.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class _Module:
    """The definitions and imports at the top level of a module.

    Attributes:
        name: dotted name.
        lines: source by line.
        definitions: statements that define each name.
        imports: (module, original name) per imported name; None instead of the name of a module.
    """

    name: str
    lines: tuple[str, ...]
    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, tuple[str, str | None]]


def standalone_source(roots: Iterable[type]) -> str:
    """Return Python source that defines ``roots`` and everything they use.

    Raises:
        InputError: they use a package other than torch and the standard library, or two different
            definitions of one name, or their source cannot be found.
    """
    written: dict[str, tuple[str, str]] = {}  # name -> (module, name) of its definition
    externals: dict[str, str] = {}
    texts: list[str] = []

    def add(module_name: str, name: str) -> None:
        module = _read(module_name)
        if name not in module.definitions:
            if name in module.imports:  # re-exported from the module that defines it
                source, original = module.imports[name]
                if original is not None:
                    add(source, original)
                    return
            raise InputError(f"cannot write model.py: {module_name}.{name} has no source")
        if written.setdefault(name, (module_name, name)) != (module_name, name):
            raise InputError(
                f"cannot write model.py: {written[name][0]} and {module_name} both define "
                f"'{name}'; rename one"
            )
        statements = module.definitions[name]
        if all(_text(module, s) in texts for s in statements):
            return
        used = {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)}
        position = len(texts)
        texts.append("")  # a placeholder, so that circular references end
        for other in sorted(used - {name}):
            if other in module.definitions:
                if written.get(other) != (module_name, other):
                    add(module_name, other)
            elif other in module.imports:
                source, original = module.imports[other]
                if not _is_ours(source, module_name):
                    _check_available(source, other)
                    externals[other] = _import_line(source, original, other)
                elif original is None:
                    raise InputError(
                        f"cannot write model.py: {module_name}.{name} uses the module {source}; "
                        "import the names that it needs instead"
                    )
                else:
                    if original != other:
                        raise InputError(
                            f"cannot write model.py: {module_name} renames {original} to {other}"
                        )
                    if written.get(other) is None:
                        add(source, original)
        texts.pop(position)
        texts.extend(_text(module, s) for s in statements)

    for root in roots:
        if root.__name__ not in written:
            add(root.__module__, root.__name__)
    lines = ["from __future__ import annotations", "", *_sorted_imports(externals)]
    return "\n".join(lines) + "\n\n\n" + "\n\n\n".join(texts) + "\n"


def literal(value: Any) -> str:
    """Return Python source that evaluates to ``value``.

    Raises:
        InputError: it is not a number, text, list, tuple, dictionary or dataclass of these.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f.name for f in dataclasses.fields(value) if f.init]
        inner = ", ".join(f"{name}={literal(getattr(value, name))}" for name in fields)
        return f"{type(value).__name__}({inner})"
    if isinstance(value, tuple) and type(value) is tuple:
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    if type(value) is list:
        return "[" + ", ".join(map(literal, value)) + "]"
    if type(value) is dict:
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if value is None or type(value) in (bool, int, float, str):
        return repr(value)
    raise InputError(
        f"cannot write model.py: a {type(value).__name__} among the network's arguments has no "
        "plain form; build it from numbers, texts, tuples and dataclasses"
    )


def classes_in(value: Any) -> set[type]:
    """Return the dataclasses that occur in :func:`literal` of ``value``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, f.name) for f in dataclasses.fields(value) if f.init]
        return {type(value)}.union(*map(classes_in, inner))
    if isinstance(value, tuple | list):
        return set().union(*map(classes_in, value))
    if isinstance(value, dict):
        return set().union(*map(classes_in, value.values()))
    return set()


@lru_cache(maxsize=64)
def _read(name: str) -> _Module:
    try:
        source = inspect.getsource(importlib.import_module(name))
    except (OSError, TypeError) as error:
        raise InputError(f"cannot write model.py: the source of {name} is not at hand") from error
    definitions: dict[str, list[ast.stmt]] = {}
    imports: dict[str, tuple[str, str | None]] = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                imports[alias.asname or alias.name.split(".")[0]] = (alias.name, None)
        elif isinstance(statement, ast.ImportFrom):
            origin = statement.module or ""
            if statement.level:
                package = name.split(".")
                if not hasattr(importlib.import_module(name), "__path__"):
                    package = package[:-1]
                package = package[: len(package) - statement.level + 1]
                origin = ".".join([*package, *([origin] if origin else [])])
            for alias in statement.names:
                imports[alias.asname or alias.name] = (origin, alias.name)
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            definitions[statement.name] = [statement]
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    definitions.setdefault(target.id, []).append(statement)
    return _Module(name, tuple(source.splitlines()), definitions, imports)


def _text(module: _Module, statement: ast.stmt) -> str:
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(d.lineno for d in decorators)])
    return "\n".join(module.lines[first - 1 : statement.end_lineno])


def _is_ours(source: str, asking: str) -> bool:
    """Whether a module is written out: neither torch nor the standard library."""
    top = source.split(".")[0]
    return top == "nas_search" or (
        top == asking.split(".")[0] and top != "torch" and top not in sys.stdlib_module_names
    )


def _check_available(source: str, name: str) -> None:
    top = source.split(".")[0]
    if top != "torch" and top not in sys.stdlib_module_names:
        raise InputError(
            f"cannot write model.py: the network uses '{name}' of {source}, and model.py may need "
            "torch alone"
        )


def _import_line(source: str, original: str | None, name: str) -> str:
    if original is None:
        return f"import {source}" + ("" if source.split(".")[0] == name else f" as {name}")
    return f"from {source} import {original}" + ("" if original == name else f" as {name}")


def _sorted_imports(externals: dict[str, str]) -> list[str]:
    lines = set(externals.values())
    torch_lines = sorted(line for line in lines if line.split()[1].split(".")[0] == "torch")
    return [*sorted(lines - set(torch_lines)), "", *torch_lines]
