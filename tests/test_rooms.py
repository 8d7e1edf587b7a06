"""Who may import whom: a room of the package knows the rooms below it and none above."""

from __future__ import annotations

from tests.rooms import PACKAGE, PAGE, imports, replaced, rooms_used

ROOMS = (
    *("core", "stacked", "kernels", "layers", "gradients", "spaces", "features", "priors", "costs"),
    *("tables", "passes", "proxies", "data", "scoring", "search", "runs", "export", "bridges"),
    *("training", "ranking", "report", "pages", "testing"),
    *("commands", "inspect", "learn", "rank", "sweep", "train", "__init__", "__main__"),
)
"""From the ground up."""


def test_a_room_imports_from_those_below_it_alone() -> None:
    wrong = []
    for file in sorted(PACKAGE.rglob("*.py")):
        command = file.name == "__main__.py"  # what python -m starts, also of a room's name
        own = "__main__" if command else file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        assert own in ROOMS, f"say in ROOMS what the new room {own} may import"
        used = rooms_used(file) - {"__init__"}  # the version alone
        above = sorted(other for other in used if ROOMS.index(other) > ROOMS.index(own))
        wrong += [f"{file.relative_to(PACKAGE)} imports {other}" for other in above]
    assert not wrong


def test_search_does_not_know_torch() -> None:
    files = (PACKAGE / "search").glob("*.py")
    known = {name.split(".")[0] for file in files for name in imports(file)}
    assert "deap" in known and "torch" not in known


def test_the_page_shows_the_rooms_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page) == page, "run: python -m tests.rooms"
