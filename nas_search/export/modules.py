"""Modules as their source has them: statements, imports, and who changes whose values."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import sysconfig
import tokenize
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from nas_search.core.errors import InputError
from nas_search.export.statements import Effects, Statement, read_statement


class Name(NamedTuple):
    """A name at the top level of a module."""

    module: str
    name: str


@dataclass(frozen=True, eq=False)
class Module:
    """A module's source.

    Attributes:
        name: dotted name.
        package: package in which relative imports start.
        text: its source.
        statements: its top-level statements but imports, by position.
        imports: (position, module, original name) per imported name; None for a whole module.
        stars: modules of which all names are imported.
    """

    name: str
    package: str
    text: str
    statements: dict[int, Statement]
    imports: dict[str, tuple[int, str, str | None]]
    stars: tuple[str, ...]

    def binding(self, name: str) -> list[int]:
        """Return the positions of the statements that define ``name``."""
        return [i for i, s in self.statements.items() if name in s.binds]

    def star(self, name: str) -> str:
        """Return the module from which ``import *`` takes ``name``, or an empty text."""
        for source in reversed(self.stars):
            if hasattr(importlib.import_module(source), name):
                return source
        return ""

    def resolve(self, name: str) -> Name:
        """Return where ``name`` is defined: here, or where imports lead."""
        if not self.binding(name):
            if name in self.imports:
                _, source, original = self.imports[name]
                if original is not None and is_ours(source, self.name):
                    return read_module(source).resolve(original)
            elif (source := self.star(name)) and is_ours(source, self.name):
                return read_module(source).resolve(name)
        return Name(self.name, name)

    def imported_modules(self) -> list[str]:
        """Return the modules that are imported at the top level, in order."""
        found: list[tuple[int, str]] = []
        for position, source, original in self.imports.values():
            found.append((position, source))
            if original is not None:
                found.append((position, f"{source}.{original}"))
        names = [source for _, source in sorted(found)] + list(self.stars)
        return [name for name in dict.fromkeys(names) if name in sys.modules]

    def changing(self, name: Name) -> list[int]:
        """Return the positions of the statements that change the value of ``name``."""
        return [i for i, changed in self._changed.items() if name in changed]

    @cached_property
    def _changed(self) -> dict[int, set[Name]]:
        return {i: self._by(s, s.now, frozenset()) for i, s in self.statements.items()}

    def _by(self, statement: Statement, effects: Effects, above: frozenset[Name]) -> set[Name]:
        """Return the values that a statement, or what it defines, changes: itself or by calls."""
        changed: set[Name] = set()
        for root in effects.changes:
            changed |= {self.resolve(root), *self._through(root, statement)}
        for function, argument in effects.given:
            if any(s.fills_arguments for s in _defining(self.resolve(function))):
                changed.add(self.resolve(argument))
        for called in effects.calls:
            name = self.resolve(called)
            if name not in above and is_ours(name.module, self.name):
                module = read_module(name.module)
                for inner in _defining(name):
                    both = (inner.later, inner.now) if inner.is_class else (inner.later,)
                    for part in both:  # what runs for a class runs for those that inherit from it
                        changed |= module._by(inner, part, above | {name})
        return changed

    def _through(self, root: str, statement: Statement) -> set[Name]:
        """Return what may be changed in a module of ours by ``root.x[...] = ...``."""
        if root not in self.imports or self.binding(root):
            return set()
        _, source, original = self.imports[root]
        whole = f"{source}.{original}" if original else source
        if whole not in sys.modules or not is_ours(whole, self.name):
            return set()
        attributes = statement.attributes.get(root, set())
        return {read_module(whole).resolve(name) for name in attributes if name is not None}


def modules_that_may_change(name: Name) -> list[Module]:
    """Return the modules that may change a value: its own, and those of the user that name it.

    Modules of this package change no value of another one that a network needs.
    """
    modules = [read_module(name.module)]
    if name.module.split(".")[0] == "nas_search":
        return modules
    last = name.module.split(".")[-1]
    for other in _modules_beside(name.module):
        if other.split(".")[0] == name.module.split(".")[0] or last in _source(other):
            modules.append(read_module(other))
    return modules


@lru_cache(maxsize=256)
def _modules_beside(name: str) -> list[str]:
    """Return the imported modules that may be written out beside ``name``."""
    beside = [m for m in list(sys.modules) if m != name and m.split(".")[0] != "nas_search"]
    return [module for module in beside if is_ours(module, name)]


def is_ours(source: str, asking: str) -> bool:
    """Return whether a module is written out: neither torch nor installed nor standard library.

    Args:
        source: the module.
        asking: the module that needs it; one of the same package is written out too.
    """
    top = source.split(".")[0]
    if top == "torch" or top in sys.stdlib_module_names:
        return False
    if top in ("nas_search", asking.split(".")[0]):
        return True
    file = _file(source)
    return file is not None and not (
        {"site-packages", "dist-packages"} & set(file.parts)
        or any(file.is_relative_to(place) for place in _STANDARD)
    )


_STANDARD = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]


def _file(name: str) -> Path | None:
    """Return the source file of an imported module; asks no module that is loaded on first use."""
    file = getattr(sys.modules.get(name), "__dict__", {}).get("__file__")
    return Path(file) if isinstance(file, str) and file.endswith(".py") else None


def _defining(name: Name) -> list[Statement]:
    if not is_ours(name.module, name.module) or name.module not in sys.modules:
        return []
    module = read_module(name.module)
    return [module.statements[i] for i in module.binding(name.name)]


@lru_cache(maxsize=1024)
def _source(name: str) -> str:
    if name not in sys.modules:
        importlib.import_module(name)
    file = _file(name)
    if file is None:
        return "\n" if hasattr(sys.modules[name], "__path__") else ""  # a folder without a file
    try:
        with tokenize.open(file) as text:
            return text.read() or "\n"
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""


@lru_cache(maxsize=256)
def read_module(name: str) -> Module:
    """Return the module of a dotted name.

    Raises:
        InputError: its source is not at hand.
    """
    text = _source(name)
    if not text:
        raise InputError(f"cannot write model.py: the source of {name} is not at hand")
    package = name if hasattr(sys.modules[name], "__path__") else name.rpartition(".")[0]
    lines = text.splitlines()
    statements: dict[int, Statement] = {}
    imports: dict[str, tuple[int, str, str | None]] = {}
    stars: list[str] = []
    nodes = ast.parse(text).body
    for position, node in enumerate(nodes):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname is None:
                    imports[alias.name.split(".")[0]] = (position, alias.name, None)
                else:
                    imports[alias.asname] = (position, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(source, package) if node.level else source
            for alias in node.names:
                if alias.name == "*":
                    stars.append(source)
                else:
                    imports[alias.asname or alias.name] = (position, source, alias.name)
        elif not _is_aside(node):
            statements[position] = read_statement(node, _text(lines, nodes, position))
    return Module(name, package, text, statements, imports, tuple(stars))


def _text(lines: list[str], nodes: list[ast.stmt], position: int) -> str:
    """Return the source of a statement, its decorators and comments included."""
    node = nodes[position]
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    beside = [*nodes[max(position - 1, 0) : position], *nodes[position + 1 : position + 2]]
    if any(other.end_lineno == first or other.lineno == node.end_lineno for other in beside):
        return ast.unparse(node)  # others stand in the same line, after a semicolon
    return "\n".join(lines[first - 1 : node.end_lineno])


def forget_modules() -> None:
    """Read all sources anew: a module may have been imported again."""
    read_module.cache_clear()
    _modules_beside.cache_clear()
    _source.cache_clear()


def _is_aside(node: ast.stmt) -> bool:
    """Return whether a statement is for type checkers, or for the module run as a program."""
    if not isinstance(node, ast.If):
        return False
    names = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(node.test) if isinstance(n, ast.Attribute)}
    return bool(names & {"TYPE_CHECKING", "__name__"})
