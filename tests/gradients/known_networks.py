"""Networks that people know, of torchvision and timm, made small by their own arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import timm
import torchvision.models as tv
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer


class Known(NamedTuple):
    """A network and the size of its images.

    Attributes:
        build: makes the network, with 4 classes.
        size: height and width of the images.
        slow: whether the comparison takes more than some seconds.
    """

    build: Callable[[], nn.Module]
    size: int
    slow: bool = False


def _timm(name: str, size: int, slow: bool = False, **sizes: object) -> Known:
    return Known(partial(timm.create_model, name, num_classes=4, **sizes), size, slow)


def _tv(build: Callable[..., nn.Module], size: int, slow: bool = False, **sizes: object) -> Known:
    return Known(partial(build, num_classes=4, **sizes), size, slow)


NETWORKS: dict[str, Known] = {
    "resnet18": _tv(tv.resnet18, 40),
    "resnext": _tv(
        partial(tv.ResNet, tv.resnet.Bottleneck), 40, layers=[1, 1, 1, 1], groups=8, width_per_group=4
    ),
    "regnet_y_400mf": _tv(tv.regnet_y_400mf, 40, slow=True),
    "densenet": _tv(tv.DenseNet, 40, block_config=(2, 2, 2, 2), growth_rate=8, num_init_features=8),
    "mobilenet_v2": _tv(tv.mobilenet_v2, 40, width_mult=0.25),
    "mobilenet_v3_small": _tv(tv.mobilenet_v3_small, 40, width_mult=0.5),
    "efficientnet": _timm("efficientnet_b0", 40, channel_multiplier=0.25, depth_multiplier=0.4),
    "shufflenet_v2": _tv(
        tv.ShuffleNetV2, 40, stages_repeats=[2, 2, 2], stages_out_channels=[8, 16, 32, 64, 64]
    ),
    "squeezenet": _tv(tv.squeezenet1_1, 40),
    "mnasnet": _tv(tv.MNASNet, 40, alpha=0.25),
    "googlenet": _tv(tv.GoogLeNet, 40, slow=True, aux_logits=False, init_weights=False),
    "vgg_bn": _tv(
        lambda num_classes: tv.VGG(
            tv.vgg.make_layers([8, "M", 16, "M", 16, 16, "M", 16, 16, "M"], batch_norm=True),
            num_classes=num_classes,
        ),
        32,
        slow=True,
    ),
    "convnext": _timm("convnext_tiny", 40, depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
    "vit_timm": _timm("vit_tiny_patch16_224", 32, img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2),
    "vit_torchvision": Known(
        lambda: VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=4), 32
    ),
    "swin_torchvision": Known(
        lambda: SwinTransformer([2, 2], 16, [2, 2], [2, 4], [4, 4], num_classes=4), 32
    ),
    "swin_timm": _timm(
        "swin_tiny_patch4_window7_224", 32, img_size=32, window_size=4, embed_dim=16, depths=(2, 2),
        num_heads=(2, 4),
    ),
    "swin_v2": _timm(
        "swinv2_tiny_window8_256", 32, img_size=32, window_size=4, embed_dim=16, depths=(2, 2),
        num_heads=(2, 4),
    ),
    "mixer": _timm("mixer_s16_224", 32, img_size=32, patch_size=8, embed_dim=32, num_blocks=2),
    "resmlp": _timm("resmlp_12_224", 32, img_size=32, patch_size=8, embed_dim=32, num_blocks=2),
    "deit3": _timm("deit3_small_patch16_224", 32, img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2),
    "cait": _timm("cait_xxs24_224", 32, img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2),
    "nfnet": _timm("nfnet_l0", 40, width_factor=0.125, depths=(1, 1, 1, 1)),
    "ecaresnet": _timm("ecaresnet26t", 40, layers=(1, 1, 1, 1), channels=(8, 16, 16, 32)),
    "seresnet": _timm("seresnet18", 40, layers=(1, 1, 1, 1), channels=(8, 16, 16, 32)),
    "coat": _timm(
        "coat_lite_tiny", 32, img_size=32, embed_dims=(8, 16, 24, 32), serial_depths=(1, 1, 1, 1),
        num_heads=2,
    ),
    "xcit": _timm("xcit_nano_12_p8_224", 32, img_size=32, embed_dim=32, depth=2, num_heads=2),
    "maxvit": _timm(
        "maxvit_rmlp_pico_rw_256", 64, img_size=64, depths=(1, 1, 1, 1), embed_dim=(8, 16, 16, 32),
        stem_width=8,
    ),
    "edgenext": _timm("edgenext_xx_small", 64, dims=(8, 16, 24, 32), depths=(1, 2, 2, 1)),
    "poolformer": _timm("poolformer_s12", 32, layers=(1, 1, 1, 1), embed_dims=(8, 16, 24, 32)),
    "levit": _timm("levit_128s", 64, img_size=64, embed_dim=(16, 24, 32), num_heads=2, depth=1),
    "pit": _timm("pit_ti_224", 64, img_size=64),
    "convmixer": _timm("convmixer_768_32", 32, dim=16, depth=2, patch_size=4),
    "repvgg": _timm("repvgg_a0", 32),
    "mobilevit": _timm("mobilevit_xxs", 64),
    "crossvit": _timm("crossvit_9_240", 48),
    "gmlp": _timm("gmlp_s16_224", 32, img_size=32, patch_size=8, embed_dim=32, num_blocks=2),
    "beit": _timm("beit_base_patch16_224", 32, img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2),
    "res2net": _timm("res2net50_14w_8s", 40, layers=(1, 1, 1, 1)),
    "skresnet": _timm("skresnet18", 40, layers=(1, 1, 1, 1), channels=(16, 16, 16, 32)),
    "resnest": _timm("resnest14d", 40),
    "inception": _timm("inception_next_tiny", 40, depths=(1, 1, 1, 1), dims=(16, 16, 24, 32)),
    "siglip_pool": _timm(
        "vit_base_patch16_siglip_224", 32, img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2
    ),
    "fastvit": _timm("fastvit_t8", 64),
    "ghostnet": _timm("ghostnet_100", 40, width=0.3),
    "hrnet": _timm("hrnet_w18_small", 32, slow=True),
    "volo": _timm("volo_d1_224", 32),
    "condconv": _timm("tf_efficientnet_cc_b0_4e", 40, channel_multiplier=0.2, depth_multiplier=0.3),
    "eva": _timm("eva02_tiny_patch14_224", 32, img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2),
    "pvt": _timm("pvt_v2_b0", 32),
    "twins": _timm("twins_svt_small", 32),
    "halonet": _timm("halonet26t", 64, layers=(1, 1, 1, 1), channels=(16, 16, 16, 32)),
    "bat": _timm("botnet26t_256", 64, img_size=64, layers=(1, 1, 1, 1), channels=(16, 16, 16, 32)),
}
