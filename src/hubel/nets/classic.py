"""The networks of the history books: LeNet-5, AlexNet, VGG. Depends on torch."""

from __future__ import annotations

from torch import nn


def lenet(classes: int = 10, channels: int = 1) -> nn.Sequential:
    """LeNet-5 for 28 or 32 pixels (LeCun et al. 1998), with ReLU and max pooling for tanh and learned averages."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.AdaptiveMaxPool2d(5), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(inplace=True), nn.Linear(120, 84), nn.ReLU(inplace=True), nn.Linear(84, classes),
    )


def alexnet(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Sequential:
    """AlexNet for 227 pixels (Krizhevsky et al. 2012): 8 layers, 60,965,224 parameters for 1,000 classes.

    The two halves that the paper spread over two GPUs are groups here; its local response normalisation, which
    Simonyan and Zisserman 2015 found useless, is left out.
    """
    return nn.Sequential(
        nn.Conv2d(channels, 96, 11, 4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.AdaptiveAvgPool2d(6), nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(9216, 4096), nn.ReLU(inplace=True),
        nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, classes),
    )


def vgg(classes: int = 10, channels: int = 3, width: int = 64, stages: int = 4, depth: int = 2) -> nn.Sequential:
    """A VGG-like stack (Simonyan and Zisserman 2015) with batch norm and one dense layer, for any size.

    `stages` times `depth` 3x3 convolutions and a pooling that halves; the channels double up to eight times `width`.
    """
    layers: list[nn.Module] = []
    inputs = channels
    for stage in range(stages):
        outputs = width * min(2**stage, 8)
        for _ in range(depth):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
