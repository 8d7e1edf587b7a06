"""The pictures of docs/spaces.md: of every search space one network, and what is searched in it.

    python -m studies.space_pictures [--spaces darts ...] [--out docs/spaces]

Boxes and sizes are those of the network as the package builds it, of the published size where there
is one; cells are drawn from the space's own graphs. Blocks, which have no graph, are written here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas_search.spaces import SPACES
from nas_search.spaces.base import CellEdge, CellGraph
from nas_search.spaces.nats_size.network import CELL
from nas_search.spaces.operations import ResidualBlock
from studies.built import Step, steps
from studies.skeleton_svg import Box, Cell, picture

OUT = Path(__file__).parent.parent / "docs" / "spaces"
CIFAR = (3, 32, 32)
DARTS = "DARTS_V2"
NASBENCH101 = (
    "ModelSpec(matrix=[[0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1, 0], "
    "[0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0]], "
    "ops=['input', 'conv1x1-bn-relu', 'conv1x1-bn-relu', 'maxpool3x3', 'conv3x3-bn-relu', "
    "'conv3x3-bn-relu', 'output'])"
)
NASBENCH201 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)
MOBILENET_V2 = (
    "r1_k3_e1_c16|r2_k3_e6_c24|r3_k3_e6_c32|r4_k3_e6_c64|r3_k3_e6_c96|r3_k3_e6_c160|r1_k3_e6_c320"
)
NDS_CELLS = (
    "Network(width=32, depth=12, genotype=Genotype(normal=[('max_pool_3x3', 0), ('sep_conv_3x3', "
    "1), ('skip_connect', 1), ('sep_conv_5x5', 2), ('avg_pool_3x3', 0), ('sep_conv_3x3', 3), "
    "('skip_connect', 2), ('dil_conv_3x3', 1)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 1), ('sep_conv_5x5', 2), "
    "('avg_pool_3x3', 0), ('sep_conv_3x3', 3), ('skip_connect', 2), ('dil_conv_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5]))"
)

WORDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv 1x1",
    nn.ReLU: "ReLU",
    nn.ReLU6: "ReLU6",
    nn.AdaptiveAvgPool2d: "mean",
    nn.AdaptiveAvgPool1d: "mean",
    nn.Linear: "linear",
}
"""Layers of heads; a head's only convolutions are 1x1."""

Named = Callable[[Step], tuple[str, bool]]
"""What a part is called, and whether it is searched."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=list(PICTURES), choices=list(PICTURES))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.spaces:
        (options.out / f"{name}.svg").write_text(drawn(name), encoding="utf-8")


def drawn(name: str) -> str:
    """Return the picture of a space as the text of an SVG file."""
    boxes, cells = PICTURES[name]()
    said = ", ".join(f"{box.times} {box.title}" if box.times > 1 else box.title for box in boxes)
    return picture(f"{name}: {said}", boxes, cells)


Picture = tuple[Sequence[Box], Sequence[Cell]]


def built(
    space: str, text: str, shape: tuple[int, int, int], classes: int, named: Named, **macro: Any
) -> list[Box]:
    """Return the boxes of a network of stem, cells and head; equal neighbors are one."""
    one = SPACES.get(space).space()
    first, *cells, head = steps(one, one.parse(text), shape, classes, **macro)
    boxes = [Box("image", "x".join(map(str, shape)), "end"), Box("stem", first.note)]
    for (title, searched, note), run in groupby(cells, lambda step: (*named(step), step.note)):
        kind = "searched" if searched else "fixed"
        boxes.append(Box(title, note, kind, len(list(run))))
    return [*boxes, Box(in_words(head.module), f"{classes} classes", "end")]


def in_words(head: nn.Module) -> str:
    """Return the layers of a head, but for batch-norm, which is everywhere."""
    said = (WORDS.get(type(one)) for one in head.modules())
    return ", ".join(word for word in said if word)


def graphs(space: str, text: str, titles: Sequence[str]) -> list[Cell]:
    """Return the cells of an architecture, as many as there are titles."""
    one = SPACES.get(space).space()
    return list(zip(titles, one.graphs(one.parse(text)), strict=False))


def chain(*edges: str, also: Sequence[tuple[int, int, str]] = ()) -> CellGraph:
    """Return a row of nodes with labeled edges between neighbors, and further edges.

    Nodes in the middle are named by their numbers, from 1.
    """
    nodes = ("input", *map(str, range(1, len(edges))), "output")
    lines = [CellEdge(nodes[i], nodes[i + 1], label) for i, label in enumerate(edges)]
    lines += [CellEdge(nodes[a], nodes[b], label) for a, b, label in also]
    return CellGraph("block", nodes[:1], nodes[-1], nodes, tuple(lines))


def darts() -> Picture:
    boxes = built("darts", DARTS, CIFAR, 10, _two_cells)
    return boxes, graphs("darts", DARTS, ("normal cell: DARTS_V2", "reduction cell: DARTS_V2"))


def nasbench101() -> Picture:
    boxes: list[Box] = []
    for box in built("nasbench101", NASBENCH101, CIFAR, 10, _called("cell")):
        if box.title == "cell" and boxes[-1].title == "cell":
            boxes.append(Box("max-pooling", "halves"))
        boxes.append(box)
    return boxes, graphs("nasbench101", NASBENCH101, ("cell",))


def nasbench201() -> Picture:
    def named(step: Step) -> tuple[str, bool]:
        block = isinstance(step.module, ResidualBlock)
        return ("residual block", False) if block else ("cell", True)

    boxes = built("nasbench201", NASBENCH201, CIFAR, 10, named)
    return boxes, graphs("nasbench201", NASBENCH201, ("cell",))


def transnas_micro() -> Picture:
    text = "64-41414-1_02_333"
    shape = (3, 256, 256)
    boxes = built("transnas_micro", text, shape, 75, _called("cell"), stem_halvings=2)
    return boxes, graphs("transnas_micro", text, (f"cell: {text}",))


def transnas_macro() -> Picture:
    text = "64-1234-basic"
    boxes = built("transnas_macro", text, (3, 256, 256), 75, _called("block"), stem_halvings=2)
    block = chain(
        *("ReLU, conv 3x3", "ReLU, conv 3x3"), also=[(0, 2, "skip, or conv 1x1 where sizes change")]
    )
    return boxes, [("block", block), *graphs("transnas_macro", text, (f"modules: {text}",))]


def nats_size() -> Picture:
    def named(step: Step) -> tuple[str, bool]:
        return ("block" if step.halves else "cell"), True

    text = "8:64:32:16:48"
    labels = iter(CELL)
    edges = [f"{next(labels)}~{source}" for source in (0, 0, 1, 0, 1, 2)]
    cell = f"|{edges[0]}|+|{edges[1]}|{edges[2]}|+|{'|'.join(edges[3:])}|"
    boxes = built("nats_size", text, CIFAR, 10, named)
    return boxes, graphs("nasbench201", cell, (f"the cell, the same in all; widths: {text}",))


def nas_bench_macro() -> Picture:
    boxes = built("nas_bench_macro", "01201201", CIFAR, 10, _called("layer"))
    return boxes, [
        ("0: identity", chain("skip, or conv 1x1 where sizes change")),
        ("1: MB3 3x3", _inverted("3", "3x3", "ReLU")),
        ("2: MB6 5x5", _inverted("6", "5x5", "ReLU")),
    ]


def nds_cells() -> Picture:
    boxes = built("nds_cells", NDS_CELLS, CIFAR, 10, _two_cells)
    return boxes, graphs("nds_cells", NDS_CELLS, ("a normal cell of family=darts",))


def nds_residual() -> Picture:
    boxes = built("nds_residual", "ds=1-12-4,ws=16-64-128", CIFAR, 10, _blocks)
    skip = "skip, or conv 1x1 where sizes change"
    basic = chain("conv 3x3, ReLU", "conv 3x3", also=[(0, 2, skip)])
    bottleneck = chain(
        "conv 1x1, ReLU", "conv 3x3 in groups, ReLU", "conv 1x1", also=[(0, 3, skip)]
    )
    return boxes, [
        ("ResNet: a basic block; ReLU at its output", basic),
        ("ResNeXt: a bottleneck; ReLU at its output", bottleneck),
    ]


def mobilenet() -> Picture:
    boxes = built("mobilenet", MOBILENET_V2, (3, 224, 224), 1000, _blocks)
    kernels, between = "3, 5 or 7", ("SE or none",)
    return boxes, [("block", _inverted("3, 6, or none", kernels, "ReLU6", *between))]


def autoformer() -> Picture:
    space: Any = SPACES.get("autoformer").space()
    layers = 14
    text = (
        f"embed_dim=192,mlp_ratio={'-'.join(['4'] * layers)},num_heads={'-'.join(['3'] * layers)}"
    )
    with torch.device("meta"):
        network = space.build(space.parse(text), (3, 224, 224), 1000, patch_size=16)
    rows, width = network.positions.weight.shape
    boxes = [
        Box("image", "3x224x224", "end"),
        Box("patches of 16x16", f"{rows - 1} tokens x {width}"),
        Box("class token, positions", f"{rows} tokens x {width}"),
        Box("layer", f"{rows} tokens x {width}", "searched", len(network.blocks)),
        Box("norm, mean", "over the patches"),
        Box("linear", "1000 classes", "end"),
    ]
    layer = chain(
        *("norm, attention of 3 or 4 heads", "norm, MLP x 3.5 or 4"),
        also=[(0, 1, "skip"), (1, 2, "skip")],
    )
    return boxes, [("layer of supernet=tiny", layer)]


def conv1d() -> Picture:
    text = "r1_k3_c16_d1_max_res|r2_k5_c32_d1_max_res|r3_k9_c64_d2_stride_res"
    boxes = built("conv1d", text, (3, 1, 256), 10, _blocks)
    boxes[0] = Box("series", "3x256", "end")
    block = chain(
        *("pooling, if a stage begins so", "conv k, dilated, ReLU", "conv k, dilated"),
        also=[(1, 3, "skip, if residual")],
    )
    return boxes, [("block; ReLU at its output", block)]


def flexibert() -> Picture:
    space: Any = SPACES.get("flexibert").space()
    layer = ",".join(f"op{i}=sa_sdp,heads{i}=2,ff{i}=512,stack{i}=1" for i in (1, 2))
    with torch.device("meta"):
        network = space.build(space.parse(f"hidden=256,layers=2,{layer}"), (30522, 1, 128), 2)
    rows, embedding = network.positions.weight.shape
    hidden = network.classifier.in_features
    boxes = [
        Box("tokens", str(rows - 1), "end"),
        Box("class token, positions", f"{rows} x {embedding}"),
        Box("norm, linear", f"{rows} x {hidden}"),
        Box("layer", f"{rows} x {hidden}", "searched", len(network.blocks)),
        Box("class token", str(hidden)),
        Box("linear", f"{network.classifier.out_features} classes", "end"),
    ]
    block = chain(
        *("mixing: attention, transform or convolution", "feed-forward, 1 or 3 hidden layers"),
        also=[(0, 1, "skip"), (1, 2, "skip")],
    )
    return boxes, [("layer; sums are normalized", block)]


def module() -> Picture:
    boxes = [
        Box("choices", "depth=3, width=64, kernel=5", "searched"),
        Box("your function", "build(choices, input_shape, num_classes)"),
        Box("a network", "(n, C, H, W) to (n, num_classes)", "end"),
    ]
    return boxes, []


def _two_cells(step: Step) -> tuple[str, bool]:
    return ("reduction" if step.halves else "normal cell"), True


def _blocks(step: Step) -> tuple[str, bool]:
    assert isinstance(step.module, nn.Sequential)
    return ("1 block" if len(step.module) == 1 else f"{len(step.module)} blocks"), True


def _called(title: str) -> Named:
    return lambda step: (title, True)


def _inverted(expansion: str, kernel: str, activation: str, *between: str) -> CellGraph:
    """Return an inverted residual block; ``between`` stands before the projection."""
    edges = [f"conv 1x1 to x {expansion}, {activation}", f"depthwise {kernel}, {activation}"]
    edges += [*between, "conv 1x1"]
    return chain(*edges, also=[(0, len(edges), "skip where sizes stay")])


PICTURES: dict[str, Callable[[], Picture]] = {
    one.__name__: one
    for one in (
        *(darts, nasbench101, nasbench201, transnas_micro, transnas_macro, nats_size),
        *(nas_bench_macro, nds_cells, nds_residual, mobilenet, autoformer, conv1d, flexibert),
        module,
    )
}


if __name__ == "__main__":
    main()
