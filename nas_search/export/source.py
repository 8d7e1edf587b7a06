"""The source of a class, with everything it uses, as one file that needs only torch.

And torchvision, where the source uses it. The statements that a class needs, directly or through
others, are collected from their modules and written in the order in which they ran. This works for
a user's own search space too, if its network uses only these and the standard library. What cannot
be followed is refused by name.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from types import ModuleType

from nas_search.core.errors import InputError
from nas_search.export.literals import Root
from nas_search.export.modules import (
    Module,
    Name,
    forget_modules,
    is_ours,
    modules_that_may_change,
    read_module,
)
from nas_search.export.statements import Statement

_OPTIONAL = ("PIL", "numpy")
"""Packages that functions of ours may use beside torch: without them tensors alone are read."""
_TORCH = ("torch", "torchvision")
_HELPERS = "SimpleNamespace"


def standalone_source(
    roots: Iterable[Root], imports: Iterable[str] = (), defined: Iterable[str] = ()
) -> str:
    """Return Python source that defines the classes and functions ``roots`` and all they use.

    Args:
        roots: classes and functions at the top level of their modules.
        imports: further lines of imports.
        defined: names that the file defines itself.

    Raises:
        InputError: they use a package other than torch, torchvision and the standard library, or
            two different definitions of one name, or something whose source cannot be found or
            followed.
    """
    forget_modules()
    file = _File()
    for name in defined:
        file.own(name, "model.py")
    for line in imports:
        file.add_import(line.split()[-1], line)
    for root in roots:
        if root.__qualname__ != root.__name__:
            raise _refusal(
                f"{root.__qualname__} is defined inside {root.__qualname__.split('.')[0]}; move it "
                "to the top level of its module"
            )
        file.need(Name(root.__module__, root.__name__))
    return file.text()


def _refusal(reason: str) -> InputError:
    return InputError(f"cannot write model.py: {reason}")


class _File:
    """The statements collected so far, and the imports that they need."""

    def __init__(self) -> None:
        self._needed: set[Name] = set()
        self._taken: dict[str, set[int]] = {}  # module -> positions of its statements
        self._owners: dict[str, str] = {}  # name in the file -> module or import line it is from
        self._imports: set[str] = set()
        self._optional: set[str] = set()
        self._aliases: dict[tuple[str, int], set[str]] = {}  # statement of imports -> lines for it
        self._spaces: dict[tuple[str, int, str], set[str]] = {}  # the same, for whole modules

    def need(self, name: Name) -> None:
        """Take all statements that define ``name`` or change its value."""
        if name in self._needed:
            return
        self._needed.add(name)
        module = read_module(name.module)
        positions = module.binding(name.name)
        if not positions:
            raise _refusal(
                f"'{name.name}' of {name.module} is made in a way that cannot be followed; define "
                "it at the top level of the module"
            )
        source = module.imports.get(name.name, (0, module.star(name.name), None))[1]
        if source and is_ours(source, module.name):
            raise _refusal(
                f"'{name.name}' of {module.name} is imported from {source} and then defined anew; "
                "rename one"
            )
        for position in positions:
            self._take(module, position)
        for changing in modules_that_may_change(name):
            for position in changing.changing(name):
                self._take(changing, position)

    def _take(self, module: Module, position: int) -> None:
        taken = self._taken.setdefault(module.name, set())
        if position in taken:
            return
        taken.add(position)
        statement = module.statements[position]
        for bound in statement.binds:
            self.own(bound, module.name)
        for source, name in statement.imports:
            self._check_nested(module, source, name)
        for used in sorted(statement.uses):
            self._use(module, statement, used)
        for hint in sorted(statement.hints):
            self._hint(module, hint)

    def _use(self, module: Module, statement: Statement, used: str) -> None:
        if module.binding(used):
            self.need(Name(module.name, used))
        elif used in module.imports:
            position, source, original = module.imports[used]
            if not is_ours(source, module.name):
                self._import(module, used, source, original)
            elif original is not None and not _is_module(source, original):
                self._follow(module, used, position)
            else:
                self._whole_module(module, statement, used)
        elif star := module.star(used):
            if is_ours(star, module.name):
                self._follow(module, used, 0)
            else:
                self._import(module, used, star, used)
        elif hasattr(sys.modules.get(module.name), used) and not hasattr(builtins, used):
            self.need(Name(module.name, used))  # it exists, and no statement is seen to bind it

    def _follow(self, module: Module, used: str, position: int) -> None:
        """Take ``used`` from where the imports of other modules of ours lead."""
        defined = module.resolve(used)
        home = read_module(defined.module)
        if home.binding(defined.name):
            self.need(defined)
            if defined.name != used:  # renamed here or on the way
                self.own(used, module.name)
                line = f"{used} = {defined.name}"
                self._aliases.setdefault((module.name, position), set()).add(line)
        elif defined.name in home.imports:
            _, source, original = home.imports[defined.name]
            self._import(module, used, source, original)
        elif star := home.star(defined.name):
            self._import(module, used, star, defined.name)
        else:
            self.need(defined)

    def _whole_module(self, module: Module, statement: Statement, used: str) -> None:
        """Write ``used``, a module of ours, as the bundle of what is taken from it."""
        position, source, original = module.imports[used]
        whole = f"{source}.{original}" if original else source
        attributes = statement.attributes.get(used, {None})
        if (original is None and "." in source and used == source.split(".")[0]) or (
            None in attributes
        ):
            raise _refusal(
                f"{module.name} uses the module {whole} as a whole; import the names that it needs"
            )
        self.own(used, module.name)
        for attribute in sorted(a for a in attributes if a is not None):
            inner = read_module(whole).resolve(attribute)
            if not is_ours(inner.module, module.name):
                raise _refusal(
                    f"{module.name} uses {used}.{attribute}, which {whole} only imports; import it "
                    "from where it is defined"
                )
            self.need(inner)
            part = f"{attribute}={inner.name}"
            self._spaces.setdefault((module.name, position, used), set()).add(part)

    def _hint(self, module: Module, hint: str) -> None:
        """Take what an annotation names, for the reader; the file runs without it."""
        if module.binding(hint):
            self.need(Name(module.name, hint))
        elif hint in module.imports:
            _, source, original = module.imports[hint]
            if is_ours(source, module.name):
                if original == hint and not _is_module(source, hint):
                    self.need(module.resolve(hint))
            elif _available(source):
                self._import(module, hint, source, original)

    def _import(self, module: Module, name: str, source: str, original: str | None) -> None:
        line = _import_line(source, original, name)
        optional = source.split(".")[0] in _OPTIONAL and module.name.startswith("nas_search.")
        if not optional and not _available(source):
            raise _refusal(
                f"{module.name} uses '{name}' of {source}, and model.py may need torch and "
                "torchvision alone"
            )
        if optional:
            self.own(name, line)
            self._optional.add(line)
        else:
            self.add_import(name, line)

    def add_import(self, name: str, line: str) -> None:
        """Take a line of imports that binds ``name``."""
        plain = line.startswith("import ") and " as " not in line
        self.own(name, f"import {name}" if plain else line)  # import a.b binds a, as import a does
        self._imports.add(line)

    def own(self, name: str, owner: str) -> None:
        other = self._owners.setdefault(name, owner)
        if other != owner:
            first, second = sorted([other, owner])
            raise _refusal(f"'{name}' is of {first} and of {second}; rename one")

    def _check_nested(self, module: Module, source: str, name: str | None) -> None:
        full = importlib.util.resolve_name(source, module.package) if source[0] == "." else source
        if not _available(full):
            raise _refusal(
                f"{module.name} imports {full} inside a function or a branch, and model.py may "
                "need torch and torchvision alone"
            )

    def text(self) -> str:
        """Return the file's text: imports, then the statements, module by module as they ran."""
        parts: list[str] = []
        for module in _in_order_of_import([read_module(name) for name in self._taken]):
            lines: list[tuple[int, str]] = [
                (position, module.statements[position].text)
                for position in self._taken.get(module.name, ())
            ]
            for (name, position), aliases in self._aliases.items():
                if name == module.name:
                    lines += [(position, line) for line in sorted(aliases)]
            for (name, position, bundle), bundled in self._spaces.items():
                if name == module.name:
                    fields = ", ".join(sorted(bundled))
                    lines.append((position, f"{bundle} = {_HELPERS}({fields})"))
                    self._imports.add(f"from types import {_HELPERS}")
            parts += [text for _, text in sorted(lines, key=lambda line: line[0])]
        head = ["from __future__ import annotations", "", *_sorted_imports(self._imports)]
        if self._optional:
            head += ["", "try:  # for files and other pictures; tensors need torch alone"]
            head += [f"    {line}" for line in _sorted_imports(self._optional) if line]
            names = sorted(line.split()[-1] for line in self._optional)
            head += ["except ImportError:", f"    {' = '.join(names)} = None"]
        return "\n".join(head) + "\n\n\n" + "\n\n\n".join(parts) + "\n"


def _in_order_of_import(modules: list[Module]) -> list[Module]:
    """Return ``modules`` in the order in which they ran: one that is imported comes first."""
    wanted, seen, order = {module.name for module in modules}, set[str](), list[Module]()

    def visit(module: Module) -> None:
        if module.name in seen:
            return
        seen.add(module.name)
        for source in module.imported_modules():
            if is_ours(source, module.name):
                visit(read_module(source))
        if module.name in wanted:
            order.append(module)

    for module in modules:
        visit(module)
    return order


def _is_module(source: str, name: str) -> bool:
    """Return whether ``from source import name`` gives the module ``source.name``."""
    value = getattr(importlib.import_module(source), name, None)
    return isinstance(value, ModuleType) and value.__name__ == f"{source}.{name}"


def _available(source: str) -> bool:
    top = source.split(".")[0]
    return top in _TORCH or top in sys.stdlib_module_names


def _import_line(source: str, original: str | None, name: str) -> str:
    if original is None:
        return f"import {source}" + ("" if source.split(".")[0] == name else f" as {name}")
    return f"from {source} import {original}" + ("" if original == name else f" as {name}")


def _sorted_imports(imports: set[str]) -> list[str]:
    """Return lines of imports, one per module, the standard library first."""
    plain = {line for line in imports if not line.startswith("from ")}
    names: dict[str, list[str]] = {}
    for line in sorted(imports - plain):
        source, _, name = line.removeprefix("from ").partition(" import ")
        names.setdefault(source, []).append(name)
    lines = [*sorted(plain)]
    lines += [f"from {source} import {', '.join(names[source])}" for source in sorted(names)]
    torch_lines = [line for line in lines if line.split()[1].split(".")[0] in _TORCH]
    return [*(line for line in lines if line not in torch_lines), "", *torch_lines]
