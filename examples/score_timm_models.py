"""Scores of ready-made networks: 20 small models of timm, scored as they are, on real digits.

pip install timm
python -m examples.score_timm_models --to scores.png
python -m examples.score_timm_models --models resnet50 vit_small_patch16_224 --size 224

One sees a table of scores beside parameters and multiply-accumulates (flops), and a plot of the
first score over parameters: a score that is a line there says no more than size does. Where a
network has no score there is "-", with the reason below the table. About a minute on one core.
"""

from __future__ import annotations

import argparse
import math
import warnings
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

import nas_search
from nas_search.data import DATASETS, probe_batch

MODELS = (
    *("resnet10t", "resnet18", "seresnet18", "regnetx_002", "regnety_002", "repvgg_a0"),
    *("mobilenetv2_035", "mobilenetv3_small_050", "mobilenetv3_small_100", "lcnet_050"),
    *("mnasnet_050", "efficientnet_b0", "tinynet_e", "ghostnet_050", "convnext_atto"),
    *("vit_tiny_patch16_224", "mixer_s32_224", "resmlp_12_224", "poolformer_s12", "mobilevit_xxs"),
)
PROXIES = ("gradalign", "grad_norm", "snip", "jacob_cov")
SIZES = ("params", "flops")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--proxies", nargs="+", default=PROXIES)
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--to", type=Path, help="PNG of the first score over parameters")
    chosen = parser.parse_args(arguments)
    digits = DATASETS.get("digits")
    data = digits.load(digits.options(size=chosen.size))
    images, labels = probe_batch(data, n=chosen.images)
    columns = (*SIZES, *chosen.proxies)
    print(f"{'':24}", *(f"{name:>12}" for name in columns))
    table: dict[str, dict[str, float]] = {}
    missing = []
    for name in chosen.models:
        network = create(name, chosen.size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of slower ways, where a layer is unknown
            scores = nas_search.score(network, images, labels, columns)
        table[name] = scores
        shown = ("-" if math.isnan(scores[c]) else f"{scores[c]:.4g}" for c in columns)
        print(f"{name:24}", *(f"{text:>12}" for text in shown), flush=True)
        missing += [f"{name}, {proxy}: {why}" for proxy, why in scores.reasons.items()]
    print("\n".join(missing))
    if chosen.to:
        plot(table, chosen.proxies[0], chosen.to)


def create(name: str, size: int) -> nn.Module:
    """Return a model of timm with fresh weights, for pictures of ``size``."""
    try:
        import timm
    except ImportError:
        raise SystemExit("this example scores models of timm: pip install timm") from None
    torch.manual_seed(0)
    try:
        network: nn.Module = timm.create_model(name, num_classes=10, img_size=size)
    except TypeError:  # a network that takes any size
        network = timm.create_model(name, num_classes=10)
    # What begins at zero hides the weights before it from every score that uses gradients.
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if not key.endswith("bias") and not parameter.any():  # a residual scale, a classifier
                nn.init.ones_(parameter) if parameter.dim() <= 1 else nn.init.normal_(
                    parameter, std=0.02
                )
    return network


def plot(table: dict[str, dict[str, float]], proxy: str, to: Path) -> None:
    """Write a PNG of the models, one score over parameters."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, scores in table.items():
        if not math.isnan(scores[proxy]):
            axes.plot(scores["params"], scores[proxy], "o", color="#1d6fb8")
            axes.annotate(f" {name}", (scores["params"], scores[proxy]), fontsize=7)
    axes.margins(x=0.15)
    axes.set(xscale="log", xlabel="parameters", ylabel=proxy)
    figure.savefig(to, dpi=150)


if __name__ == "__main__":
    main()
