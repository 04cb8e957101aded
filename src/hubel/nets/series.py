"""Networks for recordings and time series: convolutions in one dimension. Depends on torch."""

from __future__ import annotations

from torch import nn

from hubel.errors import InputError


def series_fcn(classes: int = 10, channels: int = 1, width: int = 128) -> nn.Sequential:
    """The fully convolutional network of Wang, Yan and Oates 2017 (arXiv:1611.06455) for series (N, channels, T) of any
    length: kernels of 8, 5 and 3, `width`, twice and once it, batch norm, the mean over time, one dense layer."""
    layers: list[nn.Module] = []
    inputs = channels
    for kernel, outputs in ((8, width), (5, 2 * width), (3, width)):
        layers += [nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm1d(outputs),
                   nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(inputs, classes))


def waveform(classes: int = 10, channels: int = 1, width: int = 128, depth: int = 5) -> nn.Sequential:
    """A network for raw sound (N, channels, T): M3 or M5 of Dai et al. 2017 (arXiv:1610.00087) by `depth`.

    The first layer's kernel of 80 samples (10 ms at 8 kHz) strides by 4 and learns a filter bank; each further one of 3
    doubles the width but the first, each with batch norm and a pooling by 4; then the mean over time. At least 4^depth
    samples, or 2 x 4^depth to be worth it.
    """
    if not 2 <= depth <= 6:
        raise InputError(f"depth={depth}: give 2 to 6, M3 being 3 and M5 being 5")
    layers: list[nn.Module] = []
    inputs = channels
    for i in range(depth - 1):
        outputs = width * 2 ** max(0, i - 1)
        conv = nn.Conv1d(inputs, outputs, 80, 4, 38, bias=False) if i == 0 else nn.Conv1d(inputs, outputs, 3, 1, 1, bias=False)
        layers += [conv, nn.BatchNorm1d(outputs), nn.ReLU(inplace=True), nn.MaxPool1d(4)]
        inputs = outputs
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(inputs, classes))
    for module in network:
        if isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
