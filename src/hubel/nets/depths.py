"""EfficientNet-Lite0 with a linear classifier that sees several depths: what is reused on other photos. Depends on torch.

The last features of an ImageNet network are about ImageNet's classes; those in the middle, about textures and parts, help
where the new classes are other things, such as scenes. Averaged over the picture, standardised and laid side by side they
feed one dense layer (the idea of Hariharan et al. 2015, 'Hypercolumns', arXiv:1411.5752, for whole pictures).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hubel.errors import InputError
from hubel.nets.efficientnet import STAGES, EfficientNetLite, pretrained_lite0

TAPS = (10, 14)  # the last blocks at strides 16 and 32 before the head: 112 and 192 channels
WIDTHS = tuple(outputs for repeats, _, _, _, outputs in STAGES for _ in range(repeats))


class Standardise(nn.Module):
    """(features - mean) / std, with fixed numbers that are set from the training data."""

    mean: Tensor
    std: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("std", torch.ones(count))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)


class DepthsNet(nn.Module):
    """Normalised images (N, 3, H, W) -> logits (N, classes), from the averaged maps after the blocks `taps` and the head.

    Its layer before last holds 1280 + the taps' channels (1,584 with the default taps).
    """

    def __init__(self, classes: int, taps: tuple[int, ...] = TAPS, dropout: float = 0.2) -> None:
        super().__init__()
        if any(not 0 <= tap < len(WIDTHS) for tap in taps):
            raise InputError(f"taps={tuple(taps)}: blocks are numbered 0..{len(WIDTHS) - 1}")
        self.taps = tuple(taps)
        body = EfficientNetLite(classes=1)
        del body.classifier, body.dropout, body.flatten, body.pool
        self.body = body
        count = sum(WIDTHS[tap] for tap in self.taps) + 1280
        self.standardise = Standardise(count)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(count, classes)

    def features(self, x: Tensor) -> Tensor:
        """The averaged maps (N, D), not standardised."""
        body, found = self.body, []
        x = body.stem_act(body.stem_norm(body.stem(x)))
        for i, block in enumerate(body.blocks):
            x = block(x)
            if i in self.taps:
                found.append(x.mean((2, 3)))
        x = body.head_act(body.head_norm(body.head(x)))
        return torch.cat([*found, x.mean((2, 3))], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.standardise(self.features(x))))

    def load_pretrained(self) -> None:
        """Give the body its ImageNet weights; raises ModelError where they are not installed."""
        state = pretrained_lite0().state_dict()
        self.body.load_state_dict({k: v for k, v in state.items() if not k.startswith("classifier.")})
