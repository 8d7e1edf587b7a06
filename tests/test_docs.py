"""Links, files and names that the documentation mentions are there; commands: tests/docs."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nas_search.commands.reading import RENAMED

REPOSITORY = Path(__file__).parent.parent
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
FOLDERS = ("benchmarks", "conf", "docs", "examples", "nas_search", "studies", "tests")
GROUPS = sorted(folder.name for folder in (REPOSITORY / "conf").iterdir() if folder.is_dir())

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_the_index_names_every_page() -> None:
    text = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    unnamed = {page.name for page in REPOSITORY.glob("docs/*.md")} - {"index.md"}
    assert not [name for name in unnamed if f"({name})" not in text]


def test_every_command_has_a_page() -> None:
    text = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(nas_search[.\w]*)` \|.*\]\((\w+\.md)\) \|$", text, re.MULTILINE)
    package = REPOSITORY / "nas_search"
    mains = [*package.glob("*.py"), *package.glob("*/__main__.py")]
    named = {
        "nas_search" + (f".{file.parent.name if file.stem == '__main__' else file.stem}")
        for file in mains
        if "commands" in (source := file.read_text(encoding="utf-8")) and "__main__" in source
    }
    commands = {name.removesuffix(".nas_search") for name in named}
    assert {command for command, _ in rows} == commands
    for command, page in rows:
        shown = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
        assert re.search(rf"^python -m {command}(?![.\w])", shown, re.MULTILINE), (command, page)


def code(page: Path) -> Iterator[str]:
    """Yield the code of a page: fenced and indented blocks, and what stands between backticks."""
    text = page.read_text(encoding="utf-8")
    fence = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
    yield from fence.findall(text)
    text = fence.sub("", text)
    yield from re.findall(r"(?:^ {4}\S.*\n)+", text, re.MULTILINE)
    yield from re.findall(r"`([^`]+)`", text)


def alternatives(path: str) -> Iterator[str]:
    """Yield the paths that ``path`` stands for: ``a/{b,c}`` is ``a/b`` and ``a/c``."""
    parts = re.split(r"\{([^}]*)\}", path)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    yield from ("".join(chosen) for chosen in itertools.product(*choices))


@every_page
def test_files_are_there(page: Path) -> None:
    below = rf"(?:{'|'.join(FOLDERS)})/[\w/.{{}},*-]*"
    pattern = re.compile(rf"(?<![\w/.$-])(?:{below}|(?!outputs/)\w+/[\w/]+\.py)")
    missing = [
        path
        for text in code(page)
        for mentioned in pattern.findall(re.sub(r"--(?:to|out) \S+", "", text))  # not yet written
        for path in alternatives(mentioned.rstrip(".,"))
        if not any(REPOSITORY.glob(path.rstrip("/")))
    ]
    assert not missing


@every_page
def test_dotted_names_are_there(page: Path) -> None:
    pattern = re.compile(r"(?<![\w/.])(?:nas_search|benchmarks|studies)(?:\.[A-Za-z_]\w*)+")
    names = {name for text in code(page) for name in pattern.findall(text)}
    assert not [name for name in sorted(names) if not is_there(name)]


def is_there(name: str) -> bool:
    """Say whether a dotted name is a module or what a module holds."""
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        dotted = ".".join(parts[:i])
        if importlib.util.find_spec(dotted) if hasattr(found, "__path__") else None:
            found = importlib.import_module(dotted)
        elif hasattr(found, part):
            found = getattr(found, part)
        else:
            return False
    return True


@every_page
def test_named_tests_are_there(page: Path) -> None:
    names = {
        name for text in code(page) for name in re.findall(r"(?<![\w/])test_\w+(?!\.py)", text)
    }
    sources = [file.read_text(encoding="utf-8") for file in REPOSITORY.glob("tests/**/*.py")]
    assert not [name for name in names if not any(f"def {name}(" in text for text in sources)]


def keys(value: object, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of nested dicts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{prefix}{key}"
            yield from keys(inner, f"{prefix}{key}.")


def configured() -> set[str]:
    """Return the keys that a command can set, as they are written on a command line."""
    found: set[str] = set()
    for file in (REPOSITORY / "conf").glob("*/*.yaml"):
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        found |= set(keys(values, f"{file.parent.name}."))
        for entry in values.get("defaults", []):  # a group within this one: /recipe@recipe: short
            for at, choice in entry.items() if isinstance(entry, dict) else ():
                group, _, below = at.lstrip("/").partition("@")
                if below:
                    inner = (REPOSITORY / "conf" / group / f"{choice}.yaml").read_text()
                    found |= set(keys({below: yaml.safe_load(inner)}, f"{file.parent.name}."))
    for file in (REPOSITORY / "conf").glob("*.yaml"):
        found |= set(keys(yaml.safe_load(file.read_text(encoding="utf-8"))))
    return found


@every_page
def test_configured_keys_are_there(page: Path) -> None:
    pattern = re.compile(rf"(?<![\w./-])((?:{'|'.join([*GROUPS, 'constraints'])})(?:\.[a-z_]\w*)+)")
    known = configured() | {"hydra.run.dir"} | set(RENAMED)  # the changelog names old ones
    mentioned = {key for text in code(page) for key in pattern.findall(text)}
    assert not [
        key
        for key in sorted(mentioned - known)
        if not re.search(r"\.(csv|md|py|yaml)$|^hydra\.(launcher|sweep|job)\.", key)  # Hydra's own
    ]
