"""What makes a run the same run: its data and settings, wherever it lies; and who runs its code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nas_search.commands import rank, search, train
from nas_search.runs.lock import Lock
from nas_search.spaces import SPACES
from tests.training.made import CELLS, stripes

CELL = CELLS["nasbench201"]
SPACE = ("search_space=nasbench201", "search_space.cells=1", "search_space.channels=2")
SEARCH = (
    *(*SPACE, "proxy=naswot", "proxy.batch_size=12", "executor=inline", "algorithm=random"),
    "budget.evaluations=6",
)
TRAIN = (
    *("recipe.epochs=2", "recipe.batch_size=8", "recipe.validation=0.25", "device=cpu"),
    *("recipe.min_steps=0", "finalists.k=1"),
)
NPZ = ("dataset=npz", "dataset.path=data.npz")
COMMANDS = {"search": search.main, "train": train.main, "rank": rank.main}

Call = Callable[..., tuple[int, str]]

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """Return the commands as a function of this process: exit code, and what was printed."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def run(name: str, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            COMMANDS[name]()
        signal.signal(signal.SIGTERM, handler)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(ended.value.code or 0), captured.err if ended.value.code else captured.out

    return run


def write_data(folder: Path, name: str = "data.npz") -> Path:
    made = stripes(folder)
    return made.rename(folder / name)


def change_pixels(file: Path) -> None:
    """Replace pixels; labels and shapes stay."""
    arrays = dict(np.load(file))
    arrays["x_train"] = np.roll(arrays["x_train"], 1, axis=0)
    np.savez(file, **arrays)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_changed_pixels_are_another_run(call: Call, tmp_path: Path) -> None:
    write_data(tmp_path)
    (tmp_path / "table.csv").write_text(f"architecture,accuracy\n{CELL},90\n" + other_rows())
    trained = ("hydra.run.dir=trained", f"architecture={CELL}", *SPACE, *NPZ, *TRAIN)
    ranked = (
        *("hydra.run.dir=ranked", *SPACE, *NPZ, "proxies=[naswot]", "seeds=[0]", "batch_size=12"),
        *("benchmark=csv", "benchmark.path=table.csv", "bootstrap=0"),
        *("architectures=all", "executor=inline", "device=cpu"),
    )
    requests: tuple[tuple[str, ...], ...] = (
        ("search", *SEARCH, *NPZ, "hydra.run.dir=searched"),
        ("train", *trained),
        ("rank", *ranked),
    )
    for request in requests:
        assert call(*request)[0] == 0, call(*request)[1]
    before = {name: content(tmp_path / name) for name in ("searched", "trained", "ranked")}
    change_pixels(tmp_path / "data.npz")
    for request, words in zip(requests, ("data: ", "another data", "data: "), strict=True):
        code, said = call(*request)
        assert (code, said.count("\n")) == (2, 1), said
        assert words in said
        assert "choose another hydra.run.dir" in said
    code, said = call("train", "run=searched", "hydra.run.dir=later", *TRAIN)
    assert code == 2
    assert "the images of the search in " in said
    assert not (tmp_path / "later").exists()
    assert before == {name: content(tmp_path / name) for name in before}
    # On the user's own word they are trained on.
    assert call("train", "run=searched", "hydra.run.dir=later", *NPZ, *TRAIN)[0] == 0


def other_rows() -> str:
    cells = (CELL.replace("nor_conv_3x3", "nor_conv_1x1"), CELL.replace("skip_connect", "none"))
    return "".join(f"{cell},{80 + number}\n" for number, cell in enumerate(cells))


@pytest.mark.slow
def test_a_run_is_trained_from_another_folder_on_its_own_data(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path)
    assert call("search", *SEARCH, *NPZ, "hydra.run.dir=run")[0] == 0
    other = tmp_path / "other"
    other.mkdir()
    np.savez(other / "data.npz", x_train=np.zeros((4, 8, 8), np.uint8), y_train=np.arange(4) % 2)
    monkeypatch.chdir(other)
    code, said = call("train", "run=../run", "hydra.run.dir=trained", *TRAIN)
    assert code == 0, said
    (tmp_path / "data.npz").rename(tmp_path / "moved.npz")
    code, said = call("train", "run=../run", "hydra.run.dir=again", *TRAIN)
    assert code == 2
    assert f"there is no file {tmp_path / 'data.npz'}" in said
    # The search continues where its data lies now, which the run then knows.
    monkeypatch.chdir(tmp_path)
    moved = ("dataset=npz", "dataset.path=moved.npz")
    code, said = call("search", *SEARCH, *moved, "hydra.run.dir=run", "budget.evaluations=7")
    assert code == 0, said
    assert call("train", "run=run", "hydra.run.dir=again", *TRAIN)[0] == 0


PLUGIN = """
from pathlib import Path
Path("imported").touch()
import dataclasses
from nas_search.spaces import SPACES
from nas_search.spaces.nasbench201 import Nasbench201Space

class Space(Nasbench201Space):
    name = "strangers"

SPACES.add(dataclasses.replace(SPACES.get("nasbench201"), name="strangers", space=Space))
"""


@pytest.mark.slow
def test_a_strangers_directory_runs_no_code(call: Call, tmp_path: Path) -> None:
    (tmp_path / "strangers_plugin.py").write_text(PLUGIN)
    (tmp_path / "conf" / "search_space").mkdir(parents=True)
    (tmp_path / "conf" / "search_space" / "strangers.yaml").write_text("name: strangers\n")
    write_data(tmp_path)
    made = ("--config-dir", "conf", "plugins=[strangers_plugin]", "search_space=strangers")
    sizes = [one for one in SEARCH if one != "search_space=nasbench201"]
    assert call("search", *made, *(f"+{s}" if "search_space." in s else s for s in sizes), *NPZ,
                "hydra.run.dir=run")[0] == 0  # fmt: skip
    # As in the process of somebody who was sent the directory.
    (tmp_path / "imported").unlink()
    del sys.modules["strangers_plugin"]
    SPACES._records.pop("strangers")
    code, said = call("train", "run=run", "hydra.run.dir=trained", *TRAIN)
    assert code == 2
    assert "if you trust these modules, add plugins=[strangers_plugin]" in said
    assert not (tmp_path / "imported").exists()
    word = "plugins=[strangers_plugin]"
    code, said = call("train", "run=run", "hydra.run.dir=trained", word, *TRAIN)
    SPACES._records.pop("strangers", None)
    sys.modules.pop("strangers_plugin", None)
    assert code == 0, said
    assert (tmp_path / "imported").exists()


@pytest.mark.slow
def test_only_one_training_at_a_time_works_in_a_folder(call: Call, tmp_path: Path) -> None:
    write_data(tmp_path)
    request = ("hydra.run.dir=run", f"architecture={CELL}", *SPACE, *NPZ, *TRAIN)
    (tmp_path / "run" / "finalists").mkdir(parents=True)
    lock = Lock(tmp_path / "run" / "finalists" / "train.lock")
    code, said = call("train", *request)
    assert (code, said.count("\n")) == (1, 1)
    assert "another process is running in " in said
    lock.close()
    assert call("train", *request)[0] == 0


@pytest.mark.slow
def test_other_weights_are_another_training(call: Call, tmp_path: Path) -> None:
    write_data(tmp_path)
    first = (f"architecture={CELL}", *SPACE, *NPZ, *TRAIN)
    for name, epochs in (("a", 2), ("b", 3)):
        assert call("train", f"hydra.run.dir={name}", *first, f"recipe.epochs={epochs}")[0] == 0
    (folder,) = (p.parent for p in (tmp_path / "a").glob("finalists/*/weights.safetensors"))
    tuned = (f"weights={folder}", *NPZ, *TRAIN, "hydra.run.dir=tuned")
    assert call("train", *tuned)[0] == 0
    (other,) = (tmp_path / "b").glob("finalists/*/weights.safetensors")
    other.replace(folder / "weights.safetensors")
    code, said = call("train", *tuned)
    assert code == 2
    assert "another weights" in said
