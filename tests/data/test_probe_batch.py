"""The probe batch: balance, dependence on the seed alone, and refused requests."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.core.errors import InputError
from nas_search.data import ImageData, Split, probe_batch, probe_notes
from nas_search.data.assemble import read_array


def make_data(counts: list[int], broken: int | None = None) -> ImageData:
    """Return a data set of 1 x 1 images whose only pixel is the image's own index."""
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = np.random.default_rng(0).permutation(labels)
    pixels = np.arange(len(labels), dtype=np.float32).reshape(-1, 1, 1, 1)
    if broken is not None:
        pixels[broken] = np.inf
    read = partial(read_array, pixels)
    split = Split("fake", torch.from_numpy(labels), read, (0.0,), (1.0,))
    names = tuple(f"c{i}" for i in range(len(counts)))
    return ImageData("fake", names, (1, 1, 1), (0.0,), (1.0,), split, split)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_class_counts_differ_by_at_most_one_and_images_match_their_labels(
    source: st.DataObject,
) -> None:
    counts = source.draw(st.lists(st.integers(3, 12), min_size=2, max_size=9))
    data = make_data(counts)
    classes = source.draw(st.none() | st.integers(1, len(counts)))
    used = classes or len(counts)
    n = source.draw(st.integers(classes or 1, 3 * used))
    seed = source.draw(st.integers(0, 2**32))
    images, labels = probe_batch(data, n, classes, seed)
    assert images.shape == (n, 1, 1, 1)
    assert images.dtype == torch.float32
    assert labels.shape == (n,)
    assert labels.dtype == torch.int64
    rows = images.flatten().long()
    assert len(set(rows.tolist())) == n  # without replacement
    assert torch.equal(data.train.labels[rows], labels)
    present = torch.bincount(labels, minlength=len(counts))
    taken = present[present > 0]
    assert len(taken) == min(used, n)
    assert taken.max() - taken.min() <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**63), noise=st.integers(0, 2**31))
def test_batch_depends_on_the_seed_alone(seed: int, noise: int) -> None:
    data = make_data([9, 9, 9])
    first = probe_batch(data, 10, None, seed)
    np.random.seed(noise)  # noqa: NPY002 - the global generators must not matter
    torch.manual_seed(noise)
    state = torch.get_rng_state()
    second = probe_batch(data, 10, None, seed)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert torch.equal(torch.get_rng_state(), state)  # nor are they used up


def test_seeds_change_images_order_and_the_larger_classes() -> None:
    data = make_data([50] * 5)
    batches = [probe_batch(data, 7, None, seed) for seed in range(30)]
    assert len({tuple(images.flatten().tolist()) for images, _ in batches}) == 30
    largest = {
        tuple(sorted(torch.bincount(y, minlength=5).topk(2)[1].tolist())) for _, y in batches
    }
    assert len(largest) > 3
    mixed = probe_batch(data, 100, None, 0)[1]
    assert int((mixed[1:] != mixed[:-1]).sum()) > 50  # not grouped by class


def test_drawn_classes_depend_on_the_seed() -> None:
    data = make_data([5] * 6)
    chosen = {tuple(sorted(set(probe_batch(data, 4, 2, s)[1].tolist()))) for s in range(40)}
    assert len(chosen) > 5


def test_batch_of_n_has_one_image_of_n_classes_if_there_are_more() -> None:
    _, labels = probe_batch(make_data([5] * 6), 4, None, 0)
    assert len(set(labels.tolist())) == 4


@pytest.mark.parametrize("seed", range(10))
def test_extra_image_comes_from_a_class_with_enough_images(seed: int) -> None:
    _, labels = probe_batch(make_data([2, 3, 2]), 7, None, seed)
    assert torch.bincount(labels).tolist() == [2, 3, 2]


def test_only_drawn_images_are_read() -> None:
    data = make_data([10, 10])
    asked: list[int] = []

    def read(indices: torch.Tensor) -> torch.Tensor:
        asked.extend(indices.tolist())
        return indices.float().view(-1, 1, 1, 1)

    split = Split("fake", data.train.labels, read, (0.0,), (1.0,))
    watched = ImageData("fake", data.class_names, (1, 1, 1), (0.0,), (1.0,), split, split)
    probe_batch(watched, 6, None, 0)
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("counts", "n", "classes", "seed", "message"),
    [
        ([5, 5], 0, None, 0, "a probe batch of 0 images is requested; ask for 1 or more"),
        ([5, 5], 4, None, -1, "seed=-1 is negative; use 0 or more"),
        ([5, 5], 11, None, 0, "has only 10 training images; ask for fewer: proxy.batch_size=10 "),
        ([5, 5], 4, 3, 0, "3 classes are requested, but dataset 'fake' has 2; ask for 1 to 2"),
        ([5, 5], 4, 0, 0, "0 classes are requested, but dataset 'fake' has 2; ask for 1 to 2"),
        ([5, 5], 1, 2, 0, "a probe batch of 1 images cannot hold 2 classes; ask for 2 images"),
        ([1, 9], 6, None, 0, "class 'c0' has 1 training images, the probe batch of 6 over 2 classes"
         " needs 3 of it; ask for fewer: proxy.batch_size="),
        ([2, 2, 4], 8, None, 0, "class 'c[01]' has 2 training images, .* needs 3 of it"),
    ],
)  # fmt: skip
def test_impossible_requests_are_refused(
    counts: list[int], n: int, classes: int | None, seed: int, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        probe_batch(make_data(counts), n, classes, seed)
    assert "\n" not in str(caught.value)


def test_error_names_broken_pixels() -> None:
    with pytest.raises(InputError, match="fake: image 3 holds NaN, infinite or too large pixels "):
        probe_batch(make_data([2, 2], broken=3), 4, None, 0)


def copies(counts: list[int], distinct: list[int]) -> ImageData:
    """Return a data set whose class c has only ``distinct[c]`` different images."""
    labels = np.repeat(np.arange(len(counts)), counts)
    pixels = np.concatenate(
        [1000 * c + np.arange(n) % k for c, (n, k) in enumerate(zip(counts, distinct, strict=True))]
    )
    read = partial(read_array, pixels.astype(np.float32).reshape(-1, 1, 1, 1))
    split = Split("fake", torch.from_numpy(labels), read, (0.0,), (1.0,))
    names = tuple(f"c{i}" for i in range(len(counts)))
    return ImageData("fake", names, (1, 1, 1), (0.0,), (1.0,), split, split)


@pytest.mark.parametrize("seed", range(8))
def test_copies_are_exchanged_for_other_images_of_their_class(seed: int) -> None:
    data = copies([60, 60], [6, 6])
    images, labels = probe_batch(data, 10, seed=seed)
    assert len(set(images.flatten().tolist())) == 10
    assert torch.bincount(labels).tolist() == [5, 5]
    assert torch.equal(images.flatten() // 1000, labels.float())
    assert probe_notes(images) == []
    assert torch.equal(probe_batch(data, 10, seed=seed)[0], images)


def test_copies_that_cannot_be_avoided_are_said() -> None:
    images, _ = probe_batch(copies([60, 60], [3, 60]), 10)
    assert len(set(images.flatten().tolist())) == 8
    (line,) = probe_notes(images)
    assert "2 of the 10 probe images are equal to another one" in line and "naswot" in line
