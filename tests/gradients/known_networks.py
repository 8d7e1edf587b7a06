"""Networks that people know, of torchvision and timm, made small by their own arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import timm
import torch
import torchvision.models as tv
from timm.layers.mlp import GatedMlp
from timm.layers.norm import GroupNorm1
from timm.models.metaformer import MetaFormer
from timm.models.mlp_mixer import MlpMixer, ResBlock, SpatialGatingBlock
from timm.models.resnetv2 import ResNetV2
from timm.models.volo import VOLO
from torch import nn
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer


class Known(NamedTuple):
    """A network of 4 classes and the height and width of its images."""

    build: Callable[[], nn.Module]
    size: int


def _timm(name: str, size: int, **sizes: Any) -> Known:
    return Known(partial(timm.create_model, name, num_classes=4, **sizes), size)


def _tv(build: Callable[..., nn.Module], size: int, *args: Any, **sizes: Any) -> Known:
    return Known(partial(build, *args, num_classes=4, **sizes), size)


def _vgg() -> nn.Module:
    layers = tv.vgg.make_layers([8, "M", 16, "M", 16, 16, "M", 16, "M", 512], batch_norm=True)
    network = tv.VGG(layers, num_classes=4)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier[0] = nn.Linear(512, 32)
    network.classifier[3] = nn.Linear(32, 32)
    network.classifier[6] = nn.Linear(32, 4)
    assert isinstance(network, nn.Module)
    return network


FOUR: dict[str, Any] = {"layers": (1, 1, 1, 1), "channels": (8, 16, 16, 32)}
TOKENS: dict[str, Any] = {
    "img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2
}  # fmt: skip
MLP: dict[str, Any] = {
    "num_classes": 4, "img_size": 32, "patch_size": 8, "embed_dim": 16, "num_blocks": 2
}  # fmt: skip
WINDOWS: dict[str, Any] = {
    "img_size": 32, "window_size": 4, "embed_dim": 16, "depths": (2, 2), "num_heads": (2, 4)
}  # fmt: skip

CONVOLUTIONAL: dict[str, Known] = {
    "resnet18": _tv(tv.resnet18, 40, width_per_group=64),
    "resnext50": _tv(
        tv.ResNet, 40, tv.resnet.Bottleneck, [1, 1, 1, 1], groups=8, width_per_group=4
    ),
    "regnet_y_400mf": _tv(tv.regnet_y_400mf, 40),
    "densenet": _tv(tv.DenseNet, 40, 8, (2, 2, 2, 2), 8),
    "densenet_checkpoint": _tv(tv.DenseNet, 40, 8, (2, 2), 8, memory_efficient=True),
    "mobilenet_v2": _tv(tv.mobilenet_v2, 40, width_mult=0.25),
    "mobilenet_v3_small": _tv(tv.mobilenet_v3_small, 40, width_mult=0.5),
    "efficientnet": _tv(
        tv.EfficientNet,
        40,
        [MBConvConfig(1, 3, 2, 8, 8, 1), MBConvConfig(6, 5, 2, 8, 16, 2)],
        0.2,
        last_channel=32,
    ),
    "efficientnet_b0_timm": _timm("efficientnet_b0", 32),
    "shufflenet_v2": _tv(tv.ShuffleNetV2, 40, [2, 2, 2], [8, 16, 32, 64, 64]),
    "squeezenet": _tv(tv.squeezenet1_1, 40),
    "mnasnet": _tv(tv.MNASNet, 40, 0.25),
    "googlenet": _tv(tv.GoogLeNet, 40, aux_logits=False, init_weights=False),
    "inception_v3": _tv(tv.Inception3, 80, aux_logits=False, init_weights=False),
    "vgg_bn": Known(_vgg, 32),
    "convnext": _timm("convnext_tiny", 40, depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
    "convnext_v2": _timm("convnextv2_atto", 40, depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
    "nfnet_l0": _timm(
        "nfnet_l0",
        40,
        depths=(1, 1, 1, 1),
        channels=(16, 32, 32, 64),
        width_factor=1.0,
        num_features=64,
        stem_chs=16,
        group_size=8,
    ),
    "ecaresnet": _timm("ecaresnet26t", 40, **FOUR),
    "seresnet": _timm("seresnet18", 40, **FOUR),
    "skresnet": _timm("skresnet18", 40, layers=(1, 1, 1, 1), channels=(16, 16, 16, 32)),
    "res2net": _timm("res2net50_14w_8s", 40, layers=(1, 1, 1, 1)),
    "resnest": _timm("resnest14d", 40, layers=(1, 1, 1, 1), channels=(8, 16, 16, 32)),
    "bit": _tv(ResNetV2, 40, (1, 1, 1, 1), (128, 128, 128, 128), stem_type="fixed"),
    "inception_next": _timm("inception_next_tiny", 40, depths=(1, 1, 1, 1), dims=(16, 16, 24, 32)),
    "ghostnet": _timm("ghostnet_100", 40),
    "condconv": _timm("tf_efficientnet_cc_b0_4e", 32),
    "evonorm": _timm("efficientnet_b0_g16_evos", 32),
    "repvgg": _timm("repvgg_a0", 32),
    "hrnet": _timm("hrnet_w18_small", 32),
    "poolformer": _tv(
        MetaFormer, 32, depths=(1, 1, 1, 1), dims=(8, 16, 24, 32), norm_layers=GroupNorm1
    ),
}
TRANSFORMERS: dict[str, Known] = {
    "vit_timm": _timm("vit_tiny_patch16_224", 32, **TOKENS),
    "vit_torchvision": Known(partial(VisionTransformer, 32, 8, 2, 2, 32, 64, num_classes=4), 32),
    "swin_torchvision": Known(
        partial(SwinTransformer, [2, 2], 16, [2, 2], [2, 4], [4, 4], num_classes=4), 32
    ),
    "swin_timm": _timm("swin_tiny_patch4_window7_224", 32, **WINDOWS),
    "swin_v2": _timm("swinv2_tiny_window8_256", 32, **WINDOWS),
    "deit3": _timm("deit3_small_patch16_224", 32, **TOKENS),
    "deit_distilled": _timm("deit_tiny_distilled_patch16_224", 32, **TOKENS),
    "cait": _timm("cait_xxs24_224", 32, **TOKENS),
    "beit": _timm("beit_base_patch16_224", 32, **TOKENS),
    "eva02": _timm("eva02_tiny_patch14_224", 32, **TOKENS),
    "siglip": _timm("vit_base_patch16_siglip_224", 32, **TOKENS),
    "coat": _timm(
        "coat_lite_tiny", 32, img_size=32, embed_dims=(16, 16, 32, 32),
        serial_depths=(1, 1, 1, 1), num_heads=8,
    ),
    "xcit": _timm("xcit_nano_12_p8_224", 32, img_size=32, embed_dim=32, depth=2, num_heads=2),
    "maxvit": _timm(
        "maxvit_rmlp_pico_rw_256", 64, img_size=64, depths=(1, 1, 1, 1),
        embed_dim=(32, 32, 32, 64), stem_width=8,
    ),
    "edgenext": _timm("edgenext_xx_small", 64, dims=(8, 16, 24, 32), depths=(1, 2, 2, 1)),
    "levit": _timm(
        "levit_128s", 64, img_size=64, embed_dim=(16, 24, 32), num_heads=(2, 2, 2), depth=(1, 1, 1)
    ),
    "pit": _timm("pit_ti_224", 64, img_size=64, base_dims=(8, 8, 8), depth=(1, 1, 1)),
    "mobilevit": _timm("mobilevit_xxs", 64),
    "crossvit": _timm(
        "crossvit_9_240", 120, img_size=120, embed_dim=(16, 32), depth=((1, 1, 0),),
        num_heads=(2, 2)
    ),
    "pvt_v2": _timm("pvt_v2_b0", 64, depths=(1, 1, 1, 1), embed_dims=(8, 16, 40, 64)),
    "twins": _timm(
        "twins_svt_small", 64, img_size=64, depths=(1, 1, 1, 1), embed_dims=(8, 16, 32, 64),
        num_heads=(1, 2, 4, 8),
    ),
    "volo": _tv(
        VOLO, 64, (1, 1, 1, 1), 64, embed_dims=(24, 48, 48, 48), num_heads=(2, 2, 2, 2),
        stem_hidden_dim=8,
    ),
    "mixer": Known(partial(MlpMixer, **MLP), 32),
    "resmlp": Known(partial(MlpMixer, **MLP, mlp_ratio=4, block_layer=ResBlock), 32),
    "gmlp": Known(
        partial(
            MlpMixer, **MLP, mlp_ratio=4, block_layer=SpatialGatingBlock, mlp_layer=GatedMlp
        ),
        32,
    ),
    "fastvit": _timm("fastvit_t8", 64),
}  # fmt: skip
NETWORKS = CONVOLUTIONAL | TRANSFORMERS


def built(known: Known) -> nn.Module:
    """Return the network in float64, with weights from which every layer has a gradient.

    Many start with zeros in their head, or with layer scales of 1e-6: nothing would be compared.
    """
    torch.manual_seed(0)
    network = known.build().double()
    with torch.no_grad():
        for name, p in network.named_parameters():
            deviation = 0.3 if p.dim() < 2 else 0.3 / p[0].numel() ** 0.5
            p.add_(torch.randn_like(p) * deviation + (0.1 if "bias" in name else 0))
        for name, statistic in network.named_buffers():
            if name.endswith("running_mean"):
                statistic.normal_(0, 0.1)
            elif name.endswith("running_var"):
                statistic.uniform_(0.5, 2)
    return network
