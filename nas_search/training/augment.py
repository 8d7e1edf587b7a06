"""Augmentation of whole batches, on the device that holds them.

Crops, mirrors and holes differ per image and are made for a whole batch at once; torchvision's
transforms make one draw per call. Policies and mixing are torchvision's. All draws come from
torch's global CPU generator, so a seed fixes them on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nas_search.core.errors import InputError
from nas_search.data import normalize
from nas_search.training.recipe import Augmentation

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Channel means and standard deviations."""


def augment(raw: Tensor, how: Augmentation, statistics: Statistics, series: bool = False) -> Tensor:
    """Return normalized float32 images of the same shape as ``raw``.

    Series are moved and masked along time alone, each by one draw for all of its rows.

    Args:
        raw: (b, C, H, W) pixels, uint8 or float32.
        how: the augmentation. Policy, crop and mirror act on raw pixels, in this order; the hole
            comes last, on normalized pixels, so its zeros are the channel means.
        statistics: channel means and deviations, as for :func:`nas_search.data.normalize`.
        series: whether the images are series in equal rows.

    Raises:
        InputError: a policy is requested for images that are not 8-bit, or for series what is for
            pictures alone.
    """
    if series:
        check_series(how)
        return _augment_series(raw, how, statistics)
    if how.policy != "none":
        raw = _by_policy(raw, how.policy)
    if how.crop:
        raw = shift(raw, torch.randint(2 * how.crop + 1, (len(raw), 2)) - how.crop)
    if how.flip:
        mirror = (torch.rand(len(raw)) < 0.5).to(raw.device)
        raw = torch.where(mirror[:, None, None, None], raw.flip(3), raw)
    images = normalize(raw, *statistics)
    if how.cutout:
        height, width = images.shape[2:]
        center = torch.stack(
            [torch.randint(height, (len(raw),)), torch.randint(width, (len(raw),))], dim=1
        )
        images = images * cutout_mask(center, how.cutout, height, width).to(images.device)
    return images


def check_series(how: Augmentation) -> None:
    """Raise InputError if ``how`` asks for what is for pictures alone."""
    asked = (
        ("flip", how.flip, "time runs one way", "false"),
        ("policy", how.policy != "none", "its colors and rotations are of pictures", "none"),
        ("mix", how.mix == "cutmix", "its boxes are of pictures", "mixup or none"),
    )
    for key, is_asked, why, instead in asked:
        if is_asked:
            raise InputError(
                f"recipe.augmentation.{key} is not for series: {why}; set "
                f"recipe.augmentation.{key}={instead}"
            )


def _augment_series(raw: Tensor, how: Augmentation, statistics: Statistics) -> Tensor:
    """Return series (b, C, rows, L) moved by up to ``crop`` steps, ``cutout`` steps of them mean.

    Where a series is moved, its first or last values are repeated: zero may be no usual value.
    """
    steps = torch.arange(raw.shape[3])
    if how.crop:
        offset = torch.randint(2 * how.crop + 1, (len(raw), 1)) - how.crop
        taken = (steps + offset).clamp(0, len(steps) - 1).to(raw.device)
        raw = raw.gather(3, taken[:, None, None].expand_as(raw))
    series = normalize(raw, *statistics)
    if how.cutout:
        start = torch.randint(len(steps), (len(raw), 1)) - how.cutout // 2
        kept = (steps < start) | (steps >= start + how.cutout)
        series = series * kept[:, None, None].to(series.device)
    return series


def shift(raw: Tensor, offset: Tensor) -> Tensor:
    """Return images (b, C, H, W) moved by ``offset`` (b, 2) rows and columns, padded with zeros.

    A crop at (top, left) of an image padded by p is a shift by (top - p, left - p).
    """
    height, width = raw.shape[2:]
    reach = int(offset.abs().max()) if len(offset) else 0
    padded = functional.pad(raw, (reach,) * 4)
    start = (offset + reach).to(raw.device)
    rows = start[:, :1] + torch.arange(height, device=raw.device)
    columns = start[:, 1:] + torch.arange(width, device=raw.device)
    image = torch.arange(len(raw), device=raw.device)[:, None, None]
    # Advanced indices around a slice put the channels last.
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def cutout_mask(center: Tensor, side: int, height: int, width: int) -> Tensor:
    """Return ones (b, 1, H, W) with a square of zeros of ``side`` around each center (b, 2).

    As published (DeVries and Taylor 2017), a square that reaches over the edge is clipped there.
    """
    start = center - side // 2
    rows = torch.arange(height)[None] - start[:, :1]
    columns = torch.arange(width)[None] - start[:, 1:]
    inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[
        :, None, :
    ]
    return (~inside)[:, None].float()


def mix_images(images: Tensor, labels: Tensor, mix: str, classes: int) -> tuple[Tensor, Tensor]:
    """Return images and labels; unless ``mix`` is ``none``, labels are shares (b, classes)."""
    if mix == "none":
        return images, labels
    from torchvision.transforms import v2  # imported here: it takes seconds

    kind = v2.MixUp if mix == "mixup" else v2.CutMix
    # Published alphas: MixUp .2 (Zhang et al. 2018, ImageNet), CutMix 1 (Yun et al. 2019).
    pair = kind(num_classes=classes, alpha=0.2 if mix == "mixup" else 1.0)(images, labels)
    return pair[0], pair[1]


def _by_policy(raw: Tensor, policy: str) -> Tensor:
    if raw.dtype != torch.uint8:
        raise InputError(
            f"recipe.augmentation.policy={policy} is for 8-bit images (0..255) and these are "
            "floats; save them as uint8 or set recipe.augmentation.policy=none"
        )
    if raw.shape[1] not in (1, 3):
        raise InputError(
            f"recipe.augmentation.policy={policy} is for 1 or 3 channels, these images have "
            f"{raw.shape[1]}; set recipe.augmentation.policy=none"
        )
    from torchvision.transforms import v2

    policy_transform = v2.TrivialAugmentWide() if policy == "trivial_augment" else v2.RandAugment()
    return torch.stack([policy_transform(image) for image in raw])
