"""Tiny networks of torchvision's, cut into backbones by naming their parts."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.mobilenetv3 import InvertedResidualConfig
from torchvision.models.resnet import BasicBlock

SHAPE = (3, 32, 32)


def resnet18() -> nn.Module:
    return models.ResNet(BasicBlock, [2, 2, 2, 2], num_classes=10)


def convnext() -> nn.Module:
    blocks = [CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 1)]
    return models.ConvNeXt(blocks, stochastic_depth_prob=0.0, layer_scale=0.5, num_classes=10)


def mobilenet_v3() -> nn.Module:
    setting = partial(InvertedResidualConfig, dilation=1, width_mult=1.0)
    blocks = [
        setting(8, 3, 16, 8, use_se=True, activation="RE", stride=2),
        setting(8, 3, 24, 16, use_se=False, activation="HS", stride=1),
        setting(16, 5, 32, 16, use_se=True, activation="HS", stride=1),
    ]
    return models.MobileNetV3(blocks, last_channel=32, num_classes=10)


def vit() -> nn.Module:
    network = models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=10
    )
    nn.init.normal_(network.heads.head.weight)  # torchvision starts from zeros, which answer nothing
    return network


def embedded(network: Any, images: Tensor) -> Tensor:
    """A class token and patches, each with its position."""
    patches = network._process_input(images)
    tokens = torch.cat([network.class_token.expand(len(patches), -1, -1), patches], dim=1)
    dropped: Tensor = network.encoder.dropout(tokens + network.encoder.pos_embedding)
    return dropped


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], Mapping[str, Any]]] = {
    "resnet18": (
        resnet18,
        {
            "stem": ["conv1", "bn1", "relu"],
            "pool": "maxpool",
            "stages": [[f"layer{stage}.{block}" for block in (0, 1)] for stage in (1, 2, 3, 4)],
            "head": ["avgpool", "flatten", "fc"],
        },
    ),
    "convnext": (
        convnext,
        {
            "stem": "features.0",
            "stages": [["features.1.0", "features.1.1"], [["features.2", "features.3.0"]]],
            "head": ["avgpool", "classifier"],
        },
    ),
    "mobilenet_v3": (
        mobilenet_v3,
        {
            "stem": "features.0",
            "stages": ["features.1", ["features.2", "features.3"]],
            "head": ["features.4", "avgpool", "flatten", "classifier"],
        },
    ),
    "vit": (
        vit,
        {
            "stem": embedded,
            "stages": [[f"encoder.layers.encoder_layer_{layer}"] for layer in range(3)],
            "head": ["encoder.ln", "pooled", "heads"],
            "tokens": "class",
        },
    ),
}
"""How each is made, and where it is cut."""
