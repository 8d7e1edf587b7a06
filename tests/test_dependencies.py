"""What pyproject.toml declares is what the code imports, and its lower bounds are tried."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import tomli
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomli.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
OURS = {"nas_search", "benchmarks", "examples", "studies", "tests"}
BROUGHT = {"triton"}
"""What torch brings for GPUs: files named after it import it, and functions import these files."""
LOWEST = REPOSITORY / "tests" / "lowest.txt"


def declared(*extras: str) -> dict[str, Requirement]:
    """Return the requirements of the package and of some of its extras, by name."""
    groups = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][e] for e in extras)]
    requirements = [Requirement(line) for group in groups for line in group]
    return {canonicalize_name(r.name): r for r in requirements}


def imports(node: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield (top-level module, whether a function imports it) of every import below ``node``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name.split(".")[0], inside) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.split(".")[0], inside
        else:
            lazy = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from imports(child, lazy)


def distributions(folder: str) -> dict[str, set[tuple[str, bool]]]:
    """Return where each distribution outside the standard library is imported, and if lazily."""
    owners = packages_distributions()
    places: dict[str, set[tuple[str, bool]]] = {}
    for file in (REPOSITORY / folder).rglob("*.py"):
        for module, lazy in imports(ast.parse(file.read_text(encoding="utf-8"))):
            if module not in sys.stdlib_module_names | OURS | {"__future__"}:
                # What is not installed here has no owner; most modules are called as their package.
                for owner in owners.get(module, [module]):
                    place = str(file.relative_to(REPOSITORY))
                    places.setdefault(canonicalize_name(owner), set()).add((place, lazy))
    return places


def undeclared(folder: str, allowed: dict[str, Requirement]) -> list[str]:
    missing = {
        name: places for name, places in distributions(folder).items() if name not in allowed
    }
    return [f"{name}: {sorted(places)}" for name, places in missing.items()]


def test_the_package_imports_what_it_declares_and_declares_what_it_imports() -> None:
    used = distributions("nas_search")
    required, extras = declared(), [e for e in PROJECT["optional-dependencies"] if e != "test"]
    for name, places in used.items():
        if name in required:
            continue
        if name in BROUGHT:
            assert all(place.endswith(f"_{name}.py") for place, _ in places), (name, places)
            continue
        # What an extra brings is imported where it is used; nas_search.testing is for tests alone.
        extra = [place for place, lazy in places if lazy]
        testing = [place for place, _ in places if place.startswith("nas_search/testing/")]
        assert name in declared(*extras, "test"), f"add {name} to pyproject.toml: {places}"
        assert len(extra) == len(places) or len(testing) == len(places), (name, places)
    assert not required.keys() - used.keys(), "declared, but imported nowhere"


def test_tests_and_benchmarks_import_what_extras_declare() -> None:
    allowed = declared(*PROJECT["optional-dependencies"])
    assert not [line for folder in ("tests", "benchmarks") for line in undeclared(folder, allowed)]


def test_the_lowest_versions_are_those_of_pyproject() -> None:
    tools = ("test", "docs")  # any version will do that the day has
    extras = [extra for extra in PROJECT["optional-dependencies"] if extra not in tools]
    bounds = {
        name: next(s.version for s in requirement.specifier if s.operator == ">=")
        for name, requirement in declared(*extras).items()
    }
    expected = "".join(f"{name}=={version}\n" for name, version in sorted(bounds.items()))
    lines = [line for line in LOWEST.read_text().splitlines(True) if not line.startswith("#")]
    assert "".join(lines) == expected, f"write into {LOWEST}:\n{expected}"


def test_the_citation_names_this_version() -> None:
    import nas_search

    said = re.findall(r"^version: (.*)$", (REPOSITORY / "CITATION.cff").read_text(), re.MULTILINE)
    assert said == [nas_search.__version__]
