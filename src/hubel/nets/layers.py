"""Layers in Keras' words that learn their input size when they are built, as ordinary `nn.Module`s. Depends on torch.

Shapes in arguments are channels-last, as Keras and NumPy write them: `Conv2D(32, 3, input_shape=(28, 28, 1))`. The tensors
that flow through are torch's, channels-first. A plain `nn.Module` may stand wherever one of these may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.errors import InputError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "softmax": lambda x: F.softmax(x, dim=1),
}


def _activation(name: str | None) -> str:
    """Return the name of an activation, 'linear' for None; raises InputError for one that does not exist."""
    name = "linear" if name is None else str(name)
    if name not in ACTIVATIONS:
        raise InputError(f"activation={name!r} is unknown: one of {', '.join(ACTIVATIONS)}")
    return name


class Layer(nn.Module):
    """A module that is built once the shape (channels, ...) of its input is known."""

    keras: ClassVar[tuple[str, ...]] = ()  # the constructor's arguments, for saving

    def __init__(self, input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__()
        self.input_shape = None if input_shape is None else tuple(int(n) for n in input_shape)
        self.name = name
        self.built_for: tuple[int, ...] | None = None  # the shape (channels, ...) it was built for

    def build(self, shape: tuple[int, ...]) -> None:
        """Make the weights for inputs (N, *shape), channels first."""

    def config(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in (*self.keras, "input_shape", "name")}


class Dense(Layer):
    """z = s(W x + b) for inputs (N, d): `units` outputs, activation s. The last axis is taken if there are more."""

    keras = ("units", "activation", "use_bias")

    def __init__(self, units: int, activation: str | None = None, use_bias: bool = True, *,
                 input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__(input_shape, name)
        self.units, self.use_bias = _positive("units", units), use_bias
        self.activation = _activation(activation)

    def build(self, shape: tuple[int, ...]) -> None:
        self.linear = nn.Linear(shape[-1], self.units, bias=self.use_bias)
        _glorot(self.linear)

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](self.linear(x))


class _Conv(Layer):
    keras = ("filters", "kernel_size", "strides", "padding", "activation", "use_bias", "dilation_rate", "groups")
    convolution: ClassVar[type[nn.Module]]

    def __init__(self, filters: int, kernel_size: int | tuple[int, ...], strides: int | tuple[int, ...] = 1,
                 padding: str = "valid", activation: str | None = None, use_bias: bool = True,
                 dilation_rate: int | tuple[int, ...] = 1, groups: int = 1, *,
                 input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__(input_shape, name)
        if padding not in ("valid", "same"):
            raise InputError(f"padding={padding!r} is unknown: 'valid' or 'same'")
        self.filters, self.groups = _positive("filters", filters), _positive("groups", groups)
        self.kernel_size, self.strides, self.dilation_rate = kernel_size, strides, dilation_rate
        self.padding, self.use_bias = padding, use_bias
        self.activation = _activation(activation)

    def build(self, shape: tuple[int, ...]) -> None:
        dims = len(shape) - 1
        k, s, d = (_tuple(v, dims) for v in (self.kernel_size, self.strides, self.dilation_rate))
        # At stride 1 the output has the input's size; above, one pad per side of (k-1)/2, ceil(n/s) outputs for odd k.
        pad: Any = tuple(a * (b - 1) // 2 for a, b in zip(d, k, strict=True)) if self.padding == "same" else 0
        if self.padding == "same" and all(n == 1 for n in s):
            pad = "same"
        self.conv = self.convolution(shape[0], self.filters, k, s, pad, d, self.groups, bias=self.use_bias)
        _glorot(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](self.conv(x))


class Conv1D(_Conv):
    """A bank of 1-D filters over inputs (N, C, L)."""

    convolution = nn.Conv1d


class Conv2D(_Conv):
    """A bank of 2-D filters over inputs (N, C, H, W): n filters of k x k hold n C k² weights, whatever the image size."""

    convolution = nn.Conv2d


class Conv3D(_Conv):
    """A bank of 3-D filters over inputs (N, C, D, H, W)."""

    convolution = nn.Conv3d


class _Pool(Layer):
    keras = ("pool_size", "strides", "padding")
    pool: ClassVar[dict[int, Callable[..., Tensor]]]
    dims: ClassVar[int] = 2

    def __init__(self, pool_size: int | tuple[int, ...] = 2, strides: int | tuple[int, ...] | None = None,
                 padding: str = "valid", *, input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__(input_shape, name)
        if padding not in ("valid", "same"):
            raise InputError(f"padding={padding!r} is unknown: 'valid' or 'same'")
        self.pool_size, self.strides, self.padding = pool_size, strides, padding

    def forward(self, x: Tensor) -> Tensor:
        return self.pool[x.ndim - 2](x, self.pool_size, self.strides, ceil_mode=self.padding == "same")


class MaxPooling1D(_Pool):
    """The largest value of each window, down-sampled by `strides` (the window's size by default)."""

    pool: ClassVar = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class MaxPooling2D(MaxPooling1D):
    __doc__ = MaxPooling1D.__doc__


class MaxPooling3D(MaxPooling1D):
    __doc__ = MaxPooling1D.__doc__


class AveragePooling1D(_Pool):
    """The mean of each window, down-sampled by `strides` (the window's size by default)."""

    pool: ClassVar = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


class AveragePooling2D(AveragePooling1D):
    __doc__ = AveragePooling1D.__doc__


class AveragePooling3D(AveragePooling1D):
    __doc__ = AveragePooling1D.__doc__


class GlobalAveragePooling(Layer):
    """The mean over all positions: (N, C, ...) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(dim=2)


class GlobalMaxPooling(Layer):
    """The largest value over all positions: (N, C, ...) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).amax(dim=2)


class GlobalAveragePooling1D(GlobalAveragePooling):
    __doc__ = GlobalAveragePooling.__doc__


class GlobalAveragePooling2D(GlobalAveragePooling):
    __doc__ = GlobalAveragePooling.__doc__


class GlobalAveragePooling3D(GlobalAveragePooling):
    __doc__ = GlobalAveragePooling.__doc__


class Flatten(Layer):
    """(N, C, ...) -> (N, d)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class Activation(Layer):
    """A non-linearity by name."""

    keras = ("activation",)

    def __init__(self, activation: str, *, input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__(input_shape, name)
        self.activation = _activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](x)


class Dropout(Layer):
    """While training, a share `rate` of the inputs is set to 0 and the rest scaled up (Srivastava et al. 2014)."""

    keras = ("rate",)

    def __init__(self, rate: float, *, input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__(input_shape, name)
        if not 0 <= rate < 1:
            raise InputError(f"rate={rate} must be at least 0 and below 1")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.rate, self.training)


class BatchNormalization(Layer):
    """u = gamma (x - mean) / std + c per channel, with learned gamma and c (Ioffe and Szegedy 2015).

    `momentum` is Keras': the share of the running statistics that stays at each step.
    """

    keras = ("momentum", "epsilon")

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, *, input_shape: tuple[int, ...] | None = None,
                 name: str | None = None) -> None:
        super().__init__(input_shape, name)
        self.momentum, self.epsilon = momentum, epsilon

    @property
    def gamma(self) -> nn.Parameter:
        return self.norm.weight

    @property
    def c(self) -> nn.Parameter:
        return self.norm.bias

    def build(self, shape: tuple[int, ...]) -> None:
        kinds = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
        self.norm = kinds[len(shape)](shape[0], eps=self.epsilon, momentum=1 - self.momentum)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


def _positive(name: str, value: int) -> int:
    if int(value) != value or value < 1:
        raise InputError(f"{name}={value} must be a whole number of at least 1")
    return int(value)


def _tuple(value: int | tuple[int, ...], dims: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * dims
    if len(value) != dims:
        raise InputError(f"{tuple(value)} has {len(value)} numbers, the input has {dims} dimensions")
    return tuple(int(v) for v in value)


def _glorot(layer: Any) -> None:
    """Glorot's uniform weights (2010, eq. 16) and zero biases, as Keras starts."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
