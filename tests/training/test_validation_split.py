"""A validation split that the data brings is what finalists are chosen by."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from nas_search import report
from nas_search.core.errors import InputError
from nas_search.training import Finalist, FinalistsConfig, Renderers, TrainingPlan, train_finalists
from tests.training.made import architecture, recipe, stripes_data


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("share", [0.2, 0.0])
def test_the_data_s_own_validation_images_are_used_and_all_training_images(
    tmp_path: Path, share: float
) -> None:
    data = stripes_data(tmp_path)
    own = data.test  # so that both accuracies must be the same
    console = Console(file=io.StringIO(), width=200)
    plan = TrainingPlan(
        recipe(epochs=1, validation=share), FinalistsConfig(), "cpu", {"nas_search": "0"}
    )
    views = Renderers(report.learning_curve, report.finalists_table)
    with_own = dataclasses.replace(data, validation=own)
    finalist = Finalist(architecture("nasbench201", data))
    train_finalists([finalist], with_own, plan, tmp_path, console, views)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"{len(data.train)} training images, {len(own)} for validation" in said
    assert finalist.validation == finalist.test and len(finalist.test) == 1


def test_two_finalists_without_any_validation_image_are_still_refused(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    plan = TrainingPlan(recipe(validation=0.0), FinalistsConfig(), "cpu", {"nas_search": "0"})
    views = Renderers(report.learning_curve, report.finalists_table)
    two = [Finalist(architecture("nasbench201", data)) for _ in range(2)]
    with pytest.raises(InputError, match="leaves no images to rank the finalists by"):
        train_finalists(two, data, plan, tmp_path, Console(quiet=True), views)
