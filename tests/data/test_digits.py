"""dataset=digits, and the yaml of every registered data set."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from nas_search.core.errors import InputError
from nas_search.data import DATASETS, probe_batch
from nas_search.data.digits import DigitsOptions, load_digits

CONF = Path(__file__).parents[2] / "conf" / "dataset"


def test_digits_are_real_and_complete() -> None:
    data = load_digits(DigitsOptions(size=16))
    assert data.input_shape == (3, 16, 16)
    assert data.class_names == tuple("0123456789")
    assert len(data.train) + len(data.test) == 1797
    assert torch.bincount(data.test.labels).min() >= 34
    raw = data.train.read(torch.arange(len(data.train)))
    assert raw.dtype == torch.uint8
    assert int(raw.max()) > 240
    assert torch.equal(raw[:, 0], raw[:, 2])
    images = data.train.images(torch.arange(len(data.train)))
    assert abs(float(images.mean())) < 1e-4
    assert abs(float(images.std()) - 1) < 1e-3


@pytest.mark.parametrize("size", [8, 16, 32])
def test_upscaling_keeps_the_digit(size: int) -> None:
    data = load_digits(DigitsOptions(size=size))
    assert data.input_shape == (3, size, size)
    small = load_digits(DigitsOptions(size=8)).train.read(torch.arange(50)).float()
    back = torch.nn.functional.adaptive_avg_pool2d(data.train.read(torch.arange(50)).float(), 8)
    agreement = torch.corrcoef(torch.stack([back.flatten(), small.flatten()]))[0, 1]
    assert float(agreement) > 0.95  # bilinear interpolation smooths, it does not move


def test_nearest_class_mean_classifies_most_digits() -> None:
    """Labels match their images: the nearest class mean is right on most held-out digits."""
    data = load_digits(DigitsOptions(size=8))
    train = data.train.images(torch.arange(len(data.train))).flatten(1)
    means = torch.stack([train[data.train.labels == c].mean(0) for c in range(10)])
    test = data.test.images(torch.arange(len(data.test))).flatten(1)
    right = torch.cdist(test, means).argmin(1) == data.test.labels
    assert float(right.float().mean()) > 0.85


def test_probe_batch_of_digits_is_balanced() -> None:
    images, labels = probe_batch(load_digits(DigitsOptions()), 32, seed=3)
    assert images.shape == (32, 3, 16, 16)
    assert sorted(torch.bincount(labels).tolist()) == [3] * 8 + [4] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DigitsOptions(size=7), "dataset.size=7 is below the 8 pixels of the scans; use 8 or more"),
        (DigitsOptions(holdout=1.0), "dataset.holdout=1.0 is not between 0 and 1; try 0.2"),
        (DigitsOptions(holdout_seed=-2), "dataset.holdout_seed=-2 is negative; use 0 or more"),
    ],
)
def test_bad_options_are_refused(options: DigitsOptions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_digits(options)


def test_all_data_sets_are_registered() -> None:
    assert DATASETS.names() == [
        *("aeon", "cifar10", "cifar100", "csv", "digits", "fashion_mnist", "imagefolder"),
        *("npyfolder", "npz", "text"),
    ]
    with pytest.raises(InputError, match=r"unknown dataset 'digit' \(did you mean 'digits'\?\)"):
        DATASETS.get("digit")


def test_every_data_set_has_a_yaml_with_its_options() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == set(DATASETS.names())
    for record in DATASETS:
        written = OmegaConf.to_container(OmegaConf.load(CONF / f"{record.name}.yaml"))
        assert written == {"name": record.name, **asdict(record.options())}
        assert "\n" not in record.description
