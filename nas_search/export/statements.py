"""The top-level statements of a module: what each binds, uses, and changes when it runs.

A table of operations need not be written in one place: a decorator, a subscript or a method of a
registry can fill it, in another module too. Whoever copies the table must copy those statements.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_READ_ONLY = frozenset(
    [
        *("get", "items", "keys", "values", "copy", "index", "count", "format", "join", "split"),
        *("strip", "lower", "upper", "startswith", "endswith", "replace"),
        *("union", "intersection", "difference"),
    ]
)
"""Methods of built-in types that change nothing."""
_RUN_BY_CLASSES = frozenset(
    ["__init__", "__new__", "__post_init__", "__init_subclass__", "__set_name__", "__call__"]
)
"""Methods that run where a class is made, called or inherited from."""


@dataclass(frozen=True)
class Effects:
    """What some code does to module-level names when it runs.

    Attributes:
        changes: names whose values it changes: an item, an attribute, or by a method.
        calls: names that it calls, as functions, decorators or bases of classes.
        given: (function, argument) names: a function may change what it is given.
    """

    changes: frozenset[str]
    calls: frozenset[str]
    given: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Statement:
    """A statement at the top level of a module.

    Attributes:
        text: its source, decorators included.
        binds: module-level names that it defines.
        uses: module-level or built-in names that it needs, now or when its functions are called.
        hints: names that stand in annotations alone.
        attributes: attributes that are read from each name; None for the name by itself.
        imports: nested imports, (module, name); the name is None for ``import module``.
        now: what it does when it runs.
        later: what it does when what it defines is called.
        fills_arguments: whether a function in it changes what it is given.
        is_class: whether it defines a class.
    """

    text: str
    binds: frozenset[str]
    uses: frozenset[str]
    hints: frozenset[str]
    attributes: dict[str, set[str | None]]
    imports: frozenset[tuple[str, str | None]]
    now: Effects
    later: Effects
    fills_arguments: bool
    is_class: bool


def read_statement(node: ast.stmt, text: str) -> Statement:
    """Return what a top-level statement does; ``text`` is its source."""
    now = list(_run_now(node))
    scopes = list(_scopes_run_later(node))
    names, hints = _names(node)
    return Statement(
        text=text,
        binds=frozenset(_bound(now)),
        uses=names,
        hints=hints - names,
        attributes=_attributes(node),
        imports=frozenset(_imported(ast.walk(node))),
        now=_effects(now),
        later=_effects([inner for scope in scopes for inner in ast.walk(scope)]),
        fills_arguments=any(_fills_arguments(scope) for scope in scopes),
        is_class=isinstance(node, ast.ClassDef),
    )


def _run_now(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run with the statement: not the bodies of functions."""
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, Scope):
        outside = getattr(node, "decorator_list", [])
        defaults = [d for d in (*node.args.defaults, *node.args.kw_defaults) if d is not None]
        children = [*outside, *defaults]
    for child in children:
        yield from _run_now(child)


def _scopes_run_later(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the functions that run when what the statement defines is called."""
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and inner.name in _RUN_BY_CLASSES:
                yield inner
    elif isinstance(node, Scope):
        yield node
    else:
        for child in ast.iter_child_nodes(node):
            yield from _scopes_run_later(child)


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    local: set[int] = set()  # what stands in a class or a comprehension binds nothing outside
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            local |= {id(inner) for part in node.body for inner in ast.walk(part)}
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            targets = (inner for part in node.generators for inner in ast.walk(part.target))
            local |= {id(inner) for inner in targets}
        if id(node) in local:
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name


def _names(node: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a statement takes from outside, and those in its annotations."""
    hints: set[str] = set()
    stripped = _WithoutAnnotations(hints).visit(ast.parse(ast.unparse(node)))
    tables = [symtable.symtable(ast.unparse(stripped), "statement", "exec")]
    names: set[str] = set()
    while tables:
        table = tables.pop()
        top = table.get_type() == "module"
        names |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (top or symbol.is_global())
        }
        names |= {s.get_name() for s in table.get_symbols() if s.is_declared_global()}
        tables += table.get_children()
    return frozenset(names), frozenset(hints)


class _WithoutAnnotations(ast.NodeTransformer):
    """Removes annotations, which are texts in the written file, and collects their names."""

    def __init__(self, hints: set[str]) -> None:
        self._hints = hints

    def _take(self, annotation: ast.expr | None) -> None:
        if annotation is not None:
            self._hints |= {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)}

    def visit_arg(self, node: ast.arg) -> ast.arg:
        self._take(node.annotation)
        return ast.arg(arg=node.arg, annotation=None)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._take(node.returns)
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self._take(node.annotation)
        if node.value is None:
            return ast.Pass()
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value, lineno=0))


def _attributes(node: ast.AST) -> dict[str, set[str | None]]:
    read: dict[str, set[str | None]] = {}
    rooted: set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            rooted.add(id(inner.value))
            read.setdefault(inner.value.id, set()).add(inner.attr)
        elif isinstance(inner, ast.Name) and id(inner) not in rooted:
            read.setdefault(inner.id, set()).add(None)
    return read


def _imported(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str | None]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from ((source, alias.name) for alias in node.names)


def _effects(nodes: list[ast.AST]) -> Effects:
    changes: set[str] = set()
    calls: set[str] = set()
    given: set[tuple[str, str]] = set()
    for node in nodes:
        called: list[ast.expr] = []
        if isinstance(node, ast.Subscript | ast.Attribute):
            if isinstance(node.ctx, ast.Store | ast.Del):
                changes |= _root(node)
        elif isinstance(node, ast.AugAssign):
            changes |= _root(node.target)
        elif isinstance(node, ast.Global):
            changes |= set(node.names)
        elif isinstance(node, ast.FunctionDef):
            called = node.decorator_list
        elif isinstance(node, ast.ClassDef):
            called = [*node.decorator_list, *node.bases, *(k.value for k in node.keywords)]
        elif isinstance(node, ast.Call):
            called = [node.func, *node.args]  # an argument may be a function: map(register, ...)
            function = next(iter(_root(node.func)), "")
            plain = [inner.id for inner in node.args if isinstance(inner, ast.Name)]
            given |= {(function, argument) for argument in plain}
            if function in ("setattr", "delattr"):
                changes |= set(plain[:1])
        for expression in called:
            calls |= _root(expression)
            if isinstance(expression, ast.Call):
                expression = expression.func
            if isinstance(expression, ast.Attribute) and expression.attr not in _READ_ONLY:
                changes |= _root(expression)  # table.update(...), @registry.add, nn.Module
    return Effects(frozenset(changes), frozenset(calls), frozenset(given))


def _fills_arguments(scope: ast.AST) -> bool:
    if not isinstance(scope, Scope):
        return False
    arguments = [*scope.args.posonlyargs, *scope.args.args]
    changed = _effects(list(ast.walk(scope))).changes
    return any(argument.arg in changed for argument in arguments)


def _root(node: ast.AST) -> set[str]:
    """Return the name at the root of ``name.x[0].y(...)``, if it is one."""
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()
