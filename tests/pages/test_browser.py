"""Pages in a real browser: charts are drawn, hovered, selected; tables sort and filter."""

from __future__ import annotations

import csv
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from nas_search.commands.pages import page_of
from nas_search.core.evaluation import Evaluation
from nas_search.pages.page import write_page
from nas_search.pages.serve import server
from nas_search.runs.store import Store
from tests.pages.browser import MISSING, Browser, browser, is_installed
from tests.pages.material import (
    CLASSES,
    HOSTILE,
    evaluations,
    make_ranking,
    make_run,
    make_sweep,
    make_training,
)
from tests.pages.screenshot import DOCS, PICTURES, take_all

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_installed(), reason=MISSING)]

DRAWN = "return [...document.querySelectorAll('figure.chart')].every(f => f.dataset.drawn)"
PRINT = "dispatchEvent(new Event('beforeprint'))"  # draws those too that are far down
ROWS = "return [...document.querySelectorAll('#grid-{} tbody tr')].map(r => r.innerText)"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "run": make_training(make_run(folder / "run")),
        "sweep": make_sweep(folder / "sweep"),
        "rank": make_ranking(folder / "rank"),
        "train": make_training(folder / "train"),
    }
    return {name: write_page(place, page_of(place)) for name, place in made.items()}


def draw_all(window: Browser) -> None:
    window.run(PRINT)
    window.wait(DRAWN)


@pytest.mark.parametrize("name", ["run", "sweep", "rank", "train"])
def test_all_charts_are_drawn_without_an_error_or_a_request(
    window: Browser, pages: dict[str, Path], name: str
) -> None:
    for width, dark in ((1280, False), (390, True)):
        window.open(pages[name], width, dark)
        draw_all(window)
        count = (
            "return [...document.querySelectorAll('figure.chart svg')].map(s => s.innerHTML.length)"
        )
        assert min(window.run(count)) > 2000  # more than empty axes
        assert window.run("return document.documentElement.scrollWidth") <= width
        assert window.log() == []
        assert window.requests() == [pages[name].as_uri()]
        assert "hacked" not in window.run("return document.title")


def test_hostile_names_are_shown_as_they_are(window: Browser, pages: dict[str, Path]) -> None:
    window.open(pages["run"])
    text = window.run("return document.body.innerText")
    assert HOSTILE in text and f"{HOSTILE} at layer 1" in text and CLASSES[2] in text
    assert window.run("return document.scripts.length") == 4  # two of data, ours, and the library


def test_a_table_sorts_and_filters(window: Browser, pages: dict[str, Path]) -> None:
    window.open(pages["run"])
    rows = ROWS.format("candidates")
    heading = "return [...document.querySelectorAll('#grid-candidates th button')][2]"
    assert [row.split()[0] for row in window.run(rows)[:3]] == ["1", "2", "3"]
    window.run(heading.replace("return ", "") + ".click()")
    best = sorted((e.scores["gradalign"] for e in evaluations(60) if e.scores), reverse=True)
    shown = [float(row.split()[2]) for row in window.run(rows)[:5]]
    assert shown == pytest.approx(best[:5], rel=1e-4)
    window.run(heading.replace("return ", "") + ".click()")
    assert float(window.run(rows)[0].split()[2]) == pytest.approx(best[-1], rel=1e-4)
    sorts = "return document.querySelectorAll('#grid-candidates th')[2].getAttribute('aria-sort')"
    assert window.run(sorts) == "ascending"
    window.run("document.querySelector('#grid-candidates input').focus()")
    window.keys(*"failed")
    assert len(window.run(rows)) == 6
    assert all("failed" in row for row in window.run(rows))


def test_hovering_shows_the_genotype_and_a_click_its_row(
    window: Browser, pages: dict[str, Path]
) -> None:
    window.open(pages["run"])
    draw_all(window)
    place = """
        const chart = echarts.getInstanceByDom(document.querySelector('#chart-score .canvas'));
        document.querySelector('#chart-score').scrollIntoView({behavior: 'instant'});
        const series = chart.getOption().series.findIndex(one => one.type === 'scatter');
        const point = chart.getOption().series[series].data[7];
        const [x, y] = chart.convertToPixel({seriesIndex: series}, point.value);
        const box = document.querySelector('#chart-score .canvas').getBoundingClientRect();
        return [Math.round(box.x + x), Math.round(box.y + y), point.key];
    """
    x, y, key = window.run(place)
    window.mouse({"type": "pointerMove", "x": x - 40, "y": y})
    window.mouse({"type": "pointerMove", "x": x, "y": y, "duration": 100})
    genotype = evaluations(60)[int(key) - 1].genotype
    tip = "return document.querySelector('#chart-score .canvas').innerText"
    window.wait(f"{tip}.includes({genotype!r})")
    click = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
    window.mouse(*click)
    window.wait(ROWS.format("candidates") + ".length === 1")
    assert window.run(ROWS.format("candidates"))[0].split()[0] == key


def test_brushing_filters_the_table(window: Browser, pages: dict[str, Path]) -> None:
    window.open(pages["run"])
    draw_all(window)
    window.run(
        "document.querySelector('#chart-cost-params').scrollIntoView({behavior: 'instant'});"
        "document.querySelector('#chart-cost-params .bar button').click()"
    )
    left, top, width, height = window.run(
        "const b = document.querySelector('#chart-cost-params .canvas').getBoundingClientRect();"
        "return [b.x, b.y, b.width, b.height].map(Math.round)"
    )
    window.mouse(
        {"type": "pointerMove", "x": left + width // 2, "y": top + 14},
        {"type": "pointerDown", "button": 0},
        {"type": "pointerMove", "x": left + width - 20, "y": top + height - 80, "duration": 200},
        {"type": "pointerUp", "button": 0},
    )
    status = "return document.querySelector('#grid-candidates [role=status]').textContent"
    window.wait(f"{status}.includes('filtered from 60')")
    corners = (
        "const c = echarts.getInstanceByDom(document.querySelector('#chart-cost-params .canvas'));"
        f"return [[{width // 2}, 14], [{width - 20}, {height - 80}]]"
        ".map(p => c.convertFromPixel({seriesIndex: 0}, p))"
    )
    (low, top_score), (high, bottom) = window.run(corners)
    inside = sum(
        low <= (e.params or 0) <= high and bottom <= e.scores["gradalign"] <= top_score
        for e in evaluations(60)
        if e.status == "ok"
    )
    assert 0 < inside < 54
    assert int(window.run(status).split(" of ")[1].split()[0]) == inside


def test_arrow_keys_go_from_point_to_point(window: Browser, pages: dict[str, Path]) -> None:
    window.open(pages["run"])
    draw_all(window)
    window.run("document.querySelector('#chart-score').focus({preventScroll: false})")
    right, enter = "\ue014", "\ue007"
    window.keys(right, right)
    tip = "return document.querySelector('#chart-score .canvas').innerText"
    window.wait(f"{tip}.includes({evaluations(60)[1].genotype!r})")
    window.keys(enter)
    assert window.run(ROWS.format("candidates"))[0].split()[0] == "2"


def test_charts_are_saved_as_csv_svg_and_png(
    window: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    window.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    window.open(pages["run"])
    draw_all(window)
    for name in ("CSV", "SVG", "PNG"):
        window.run(
            "[...document.querySelectorAll('#chart-cost-params button')]"
            f".find(one => one.textContent === {name!r}).click()"
        )
        file = tmp_path / f"cost-params.{name.lower()}"
        end = time.monotonic() + 20
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.1)
    with (tmp_path / "cost-params.csv").open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    told = evaluations(60)
    assert len(rows) == 54
    for row in rows:
        evaluation = told[int(row["number"]) - 1]
        assert int(float(row["params"])) == evaluation.params
        assert float(row["gradalign"]) == pytest.approx(evaluation.scores["gradalign"])
    assert ElementTree.parse(tmp_path / "cost-params.svg").getroot().tag.endswith("svg")
    with Image.open(tmp_path / "cost-params.png") as image:
        assert image.width > 600 and len(image.convert("RGB").getcolors(10**6)) > 3


def test_colors_follow_the_scheme(window: Browser, pages: dict[str, Path]) -> None:
    seen = []
    for dark in (False, True):
        window.open(pages["run"], dark=dark)
        draw_all(window)
        ink = "getComputedStyle(document.querySelector('#chart-score svg text')).fill"
        paper = "getComputedStyle(document.body).backgroundColor"
        seen.append(window.run(f"return [{ink}, {paper}]"))
    assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1]


def test_a_served_page_follows_its_run(window: Browser, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 20, ended=False)
    listening = server(folder, lambda live: page_of(folder, {**live, "seconds": 1}), "127.0.0.1", 0)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        window.open(f"http://127.0.0.1:{listening.server_address[1]}/")
        status = "const s = document.querySelector('#grid-candidates [role=status]');"
        window.wait(f"{status} return s && s.textContent.includes('of 20 rows')")
        with Store(folder / "run.sqlite") as store:
            more = evaluations(21)[-1]
            store.append(Evaluation(more.genotype, "new", "ok", {"gradalign": 1.0}), 9.0)
        window.wait(f"{status} return s && s.textContent.includes('of 21 rows')")
        assert window.log() == []
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def test_the_pictures_of_the_docs_are_made_so(tmp_path: Path) -> None:
    outputs, to = tmp_path / "outputs", tmp_path / "pictures"
    make_training(make_run(outputs / "digits"))
    make_sweep(outputs / "compare")
    make_ranking(outputs / "rank")
    take_all(outputs, to)
    for one in PICTURES:
        for file in (to / f"{one.name}.png", DOCS / f"{one.name}.png"):  # new, and in the docs
            with Image.open(file) as image:
                assert image.width == one.width and 200 < image.height < 3000
                assert len(image.convert("RGB").getcolors(10**6)) > 8
            assert file.stat().st_size < 150_000
    assert {file.name for file in DOCS.glob("*.png")} == {f"{one.name}.png" for one in PICTURES}
