"""The folder that the pages' commands are typed in: small stand-ins for all that they name.

Pictures are drawn, the run is a real search with a trained finalist, tables have a few rows. A page
that names a file which nobody has yet is given one here.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np

from nas_search.commands.sweep_jobs import begun, write_note
from nas_search.core.files import write_csv
from nas_search.priors.shipped import shipped_path
from nas_search.spaces import SPACES
from tests.docs.shell import FENCE, REPOSITORY
from tests.pages.material import make_sweep
from tests.shapes import draw_folders

RUN = "outputs/2026-11-22/18-20-41"
"""The run that the pages speak of: a guided search in the DARTS space, one finalist trained."""
DIGITS = "outputs/digits"
"""The run of the tutorial."""
KEY = "1a2b3c4d"
"""Its finalist."""
ACCURACIES = (
    *("v11_c10valid_val_200", "c10_test_200", "c100_test_200", "in16_test_200"),
    "class_object__test_top1",
)
RUN_COMMAND = (
    *("search_space.cells=3", "search_space.channels=2", "dataset=npz", "algorithm=guided"),
    *("dataset.path=my_data.npz", "dataset.size=8"),
    *("algorithm.population=2", "algorithm.tournament=1", "algorithm.scored=1"),
    *("algorithm.trained=1", "algorithm.recipe.epochs=1", "algorithm.recipe.min_steps=0"),
    *("algorithm.recipe.network=null", "algorithm.prior=none", "budget.evaluations=4"),
    *("budget.trainings=1", "budget.minutes=null", "proxy.batch_size=10", "executor=inline"),
    *("finalists.k=1", "recipe.epochs=1", "recipe.min_steps=0", f"hydra.run.dir={RUN}"),
)


def code(page: str, language: str) -> list[str]:
    """Return the blocks of a page in a language."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return [block for _, name, block in FENCE.findall(text) if name == language]


def add_files(folder: Path) -> None:
    """Write everything but the run."""
    draw_folders(folder / "my_pictures", each=12, new=1)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (80, 12, 12, 3), dtype=np.uint8)
    labels = np.arange(80) % 4
    np.savez(folder / "my_data.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    shutil.copy(shipped_path("darts"), folder / "my.prior")
    _add_tables(folder, rng)
    (folder / "my_models.py").write_text(code("docs/your_network.md", "python")[0])
    for page, group in (("your_network", "search_space"), ("extending", "proxy")):
        place = folder / "my_conf" / group
        place.mkdir(parents=True)
        (place / "mine.yaml").write_text(code(f"docs/{page}.md", "yaml")[0])
    (folder / "my_module.py").write_text(code("docs/extending.md", "python")[0])
    (folder / "my_space.py").touch()
    (folder / "examples").symlink_to(REPOSITORY / "examples")
    _add_sweep(folder / "outputs" / "compare")


def _add_sweep(sweep: Path) -> None:
    make_sweep(sweep)
    _note_jobs(sweep, 2)


def _note_jobs(sweep: Path, count: int) -> None:
    for number in range(count):
        note = begun(number, str(number), [f"seed={number}"], "")
        write_note(sweep, dataclasses.replace(note, status="finished"))


def _add_tables(folder: Path, rng: np.random.Generator) -> None:
    spaces = {"nasbench201": "nasbench201", "transnas_micro": "transnas"}
    for name, file in spaces.items():
        space = SPACES.get(name).space()
        texts = list(dict.fromkeys(str(space.sample(rng)) for _ in range(20)))
        fields = ["arch_str", "arch", "space", *ACCURACIES]
        rows = [
            [one, one, "micro", *rng.uniform(30, 90, len(ACCURACIES)).round(2)] for one in texts
        ]
        write_csv(folder / f"{file}.csv", fields, rows)
    shutil.copy(folder / "nasbench201.csv", folder / "nasbench201_classes.csv")
    layers = '[["SA", "SDP", 4, 512, 3], ["SA", "SDP", 4, 1024, 1]]'
    rows = [[size, layers, 70.0] for size in (128, 256)]
    write_csv(folder / "flexibert.csv", ["hidden_size", "encoder_layers", "glue"], rows)
    space = SPACES.get("darts").space()
    rows = [[str(space.sample(rng)), round(rng.uniform(90, 97), 2)] for _ in range(20)]
    write_csv(folder / "my_table.csv", ["genotype", "accuracy"], rows)
    (folder / "transnas.csv").rename(folder / "TABLE")


def add_run(folder: Path) -> None:
    """Put the run, which is made, where else the pages speak of it."""
    run = folder / RUN
    (finalist,) = (one.parent for one in run.glob("finalists/*/genotype.json"))
    (run / "finalists" / KEY).symlink_to(finalist.name)
    for name in ("outputs/...", "outputs/first", "outputs/second", "outputs/shapes", DIGITS):
        (folder / name).symlink_to(run)
    for name in ("FOLDER", "SWEEP_FOLDER"):  # of a run, of a sweep, of configuration
        shutil.copytree(run, folder / name)
        (folder / name / "0").symlink_to(run)
        _note_jobs(folder / name, 1)
    place = folder / "FOLDER" / "recipe"
    place.mkdir()
    text = (REPOSITORY / "conf" / "recipe" / "fast.yaml").read_text(encoding="utf-8")
    (place / "MINE.yaml").write_text(re.sub("^name: fast", "name: MINE", text, flags=re.MULTILINE))
