"""Priors of one task rank architectures that they did not see on others."""

from pathlib import Path

import numpy as np

from studies.transnas_tasks import between, predictions, read_tasks, shown


def test_a_task_tells_of_itself_and_less_of_another(shared_data: Path) -> None:
    texts, tasks = read_tasks(shared_data, "micro")
    assert len(texts) == 2033
    assert (tasks["room_layout"] < 0).all()  # a loss: less is better
    some = np.random.default_rng(0).permutation(len(texts))[:300]
    names = ("class_scene", "autoencoder")
    columns = {name: tasks[name][some] for name in names}
    said = predictions("micro", [texts[row] for row in some], columns, trees=5)
    rho = between(said, columns)
    assert rho["class_scene"]["class_scene"] > 0.75
    assert rho["class_scene"]["autoencoder"] < 0.55
    assert rho["autoencoder"]["autoencoder"] > 0.6
    assert shown("prior of", rho).splitlines()[0] == f"| prior of | {' | '.join(names)} |"


def test_predictions_are_of_architectures_that_no_fitting_saw(shared_data: Path) -> None:
    texts, _ = read_tasks(shared_data, "macro")
    noise = np.random.default_rng(0).normal(size=200)  # that a forest can only learn by heart
    said = predictions("macro", texts[:200], {"noise": noise}, trees=5)
    assert abs(between(said, {"noise": noise})["noise"]["noise"]) < 0.25
