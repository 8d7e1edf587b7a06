"""A served page: one page, its state, nothing else, and nothing is written."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_search.commands.pages import page_of
from nas_search.core.evaluation import Evaluation
from nas_search.pages.serve import server, state_of
from nas_search.runs.store import Store
from tests.pages.material import make_run


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    folder = make_run(tmp_path / "run", 20, ended=False)
    listening = server(folder, lambda live: page_of(folder, live), "127.0.0.1", 0)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    listening.server_close()
    thread.join()


def get(address: str, host: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(address, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_page_and_its_state_are_served_and_nothing_else(address: str) -> None:
    status, page = get(address + "/")
    assert status == 200 and "Live: this page looks" in page
    state = get(address + "/state")[1]
    assert f'data-live="{state}"' in page
    for path in ("/run.sqlite", "/../run.sqlite", "/report.html", "/state?x"):
        assert get(address + path)[0] == 404


def test_other_names_for_this_machine_are_refused(address: str) -> None:
    assert get(address + "/", "evil.example:80")[0] == 403
    assert get(address + "/state", "localhost:1")[0] == 200


def test_nothing_can_be_sent(address: str) -> None:
    request = urllib.request.Request(address + "/", data=b"x")
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(request, timeout=30)


def test_the_state_changes_with_an_evaluation_and_not_with_a_look(
    address: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    before, files = state_of(folder), {p: p.read_bytes() for p in folder.iterdir()}
    get(address + "/")
    assert state_of(folder) == before
    assert {p: p.read_bytes() for p in folder.iterdir()} == files  # read, not written
    with Store(folder / "run.sqlite") as store:
        store.append(Evaluation("g", "k", "failed", reason="r"), 9.0)
        assert state_of(folder) != before
        assert get(address + "/")[0] == 200  # while another process has the store open
