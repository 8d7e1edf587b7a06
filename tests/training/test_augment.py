import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_search.core.errors import InputError
from nas_search.data import normalize
from nas_search.training.augment import augment, cutout_mask, mix_images, shift
from nas_search.training.recipe import Augmentation

STATISTICS = ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


@given(st.integers(0, 1000), st.integers(1, 3), st.integers(3, 7), st.integers(3, 6))
def test_a_shift_is_a_padded_crop(seed: int, pad: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    raw = torch.from_numpy(rng.integers(0, 255, size=(5, 3, height, width)).astype(np.uint8))
    corner = rng.integers(0, 2 * pad + 1, size=(5, 2))
    expected = []
    for image, (top, left) in zip(raw.numpy(), corner, strict=True):
        framed = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
        expected.append(framed[:, top : top + height, left : left + width])
    got = shift(raw, torch.from_numpy(corner) - pad)
    assert np.array_equal(got.numpy(), np.stack(expected))


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 6))
def test_cutout_masks_the_published_square(row: int, column: int, side: int) -> None:
    mask = np.ones((10, 10))
    y1, y2 = max(row - side // 2, 0), min(row - side // 2 + side, 10)
    x1, x2 = max(column - side // 2, 0), min(column - side // 2 + side, 10)
    mask[y1:y2, x1:x2] = 0
    assert np.array_equal(
        cutout_mask(torch.tensor([[row, column]]), side, 10, 10)[0, 0].numpy(), mask
    )


def test_each_image_is_augmented_differently_and_by_the_seed_alone() -> None:
    raw = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8).remainder(251).to(torch.uint8)
    raw = raw[:1].repeat(40, 1, 1, 1)
    how = Augmentation(crop=2, flip=True, cutout=3)
    torch.manual_seed(3)
    first = augment(raw, how, STATISTICS)
    torch.manual_seed(3)
    again = augment(raw, how, STATISTICS)
    assert torch.equal(first, again)
    assert len({image.numpy().tobytes() for image in first}) > 30
    assert torch.equal(augment(raw, Augmentation(), STATISTICS), normalize(raw, *STATISTICS))


def test_flip_mirrors_half_of_the_images() -> None:
    raw = torch.arange(8, dtype=torch.uint8).expand(400, 3, 8, 8).contiguous()
    torch.manual_seed(0)
    out = augment(raw, Augmentation(flip=True), STATISTICS)
    share = (out[:, 0, 0, 0] > out[:, 0, 0, 7]).float().mean()
    assert 0.4 < float(share) < 0.6


@pytest.mark.parametrize("policy", ["trivial_augment", "rand_augment"])
def test_policies_change_8_bit_images_and_refuse_floats(policy: str) -> None:
    raw = torch.randint(0, 255, (16, 3, 8, 8), dtype=torch.uint8)
    how = Augmentation(policy=policy)
    assert not torch.equal(augment(raw, how, STATISTICS), normalize(raw, *STATISTICS))
    with pytest.raises(InputError, match="8-bit"):
        augment(raw.float(), how, STATISTICS)


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixed_labels_are_shares_that_sum_to_one(mix: str) -> None:
    _, labels = mix_images(torch.rand(8, 3, 4, 4), torch.arange(8) % 3, mix, 3)
    assert labels.shape == (8, 3)
    assert torch.allclose(labels.sum(1), torch.ones(8))
