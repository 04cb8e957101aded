"""A frozen 2-D convolution whose gradient with respect to its input is a convolution again, and fast. Depends on torch, convolve.

Only the input's gradient exists here: the weights are constants. oneDNN's own backward pass is slow for depthwise
convolutions in bf16 (25 times the forward pass at stride 2, measured on AVX-512), so both cases below are written with the
forward kernel: at stride 1 the gradient is a convolution with the flipped filter; at stride s each of the s x s
phases of the input is one with a sub-filter (the polyphase identity of a transposed convolution, Dumoulin and Visin
2016, arXiv:1603.07285, section 4).

An activation function behind it (`fuse`) is computed in the same pass, by the operation that torch's own compiler uses, or
by our own loops: where nobody asks for a gradient, depthwise convolutions in bf16 are `convolve.Depthwise`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hubel.convolve import Depthwise
from hubel.engine.settings import settings
from hubel.nets.efficientnet import SameConv2d, same_pads

_pointwise = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
Pads = tuple[int, int, int, int]  # left, right, top, bottom, as in F.pad


def fuses() -> bool:
    """Whether this build of torch can compute a convolution and an activation function in one pass."""
    return _pointwise is not None and torch.backends.mkldnn.is_available()


class FrozenConv2d(nn.Module):
    """Stands for an `nn.Conv2d` (zero padding) with constant weights. Input (N, C, H, W), output as the original's."""

    weight: Tensor
    bias: Tensor | None
    longer: Tensor | None

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype, channels_last: bool = True) -> None:
        super().__init__()
        layout = torch.channels_last if channels_last else torch.contiguous_format
        w = conv.weight.detach().to(dtype)
        self.register_buffer("weight", w.contiguous(memory_format=layout))
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().to(dtype))
        self.stride, self.dilation, self.groups = conv.stride, conv.dilation, conv.groups
        self.kernel_size = conv.kernel_size
        self.padding = conv.padding
        self.same = isinstance(conv, SameConv2d)
        self.ceiling: float | None = None  # the output is clamped to 0..ceiling where there is one
        # padding by one more on the right than on the left is even padding for a kernel with zeros put in front
        self.register_buffer("longer", F.pad(w, (1, 0, 1, 0)).contiguous(memory_format=layout) if self.same else None)
        low = dtype is torch.bfloat16 and Depthwise.possible(w, conv.stride, conv.dilation, conv.groups)
        self.compiled = Depthwise(w, self.bias, conv.stride[0]) if low and settings.depthwise else None
        depthwise = conv.groups == conv.in_channels == conv.out_channels
        self.flipped: list[list[Tensor]] | None = None  # [phase row][phase column] -> sub-filter
        if conv.dilation == (1, 1) and (depthwise or (conv.groups == 1 and conv.stride == (1, 1))):
            back = w if depthwise else w.transpose(0, 1)
            sh, sw = conv.stride
            phases = [[back[:, :, a::sh, b::sw].flip(2, 3) for b in range(sw)] for a in range(sh)]
            if all(f.numel() for row in phases for f in row):
                self.flipped = [[f.contiguous(memory_format=layout) for f in row] for row in phases]

    def pads(self, height: int, width: int) -> Pads:
        """Return the zeros (left, right, top, bottom) added around an input of this size."""
        if self.same:
            return same_pads(self.kernel_size, self.stride, height, width)
        if self.padding == "valid":
            return 0, 0, 0, 0
        if isinstance(self.padding, str):  # "same", stride 1: the odd pixel goes to the right and bottom
            (kh, kw), (dh, dw) = self.kernel_size, self.dilation
            h, w = dh * (kh - 1), dw * (kw - 1)
            return w // 2, w - w // 2, h // 2, h - h // 2
        return self.padding[1], self.padding[1], self.padding[0], self.padding[0]

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            return _InputGradient.apply(x, self)
        if self.compiled is not None and settings.depthwise and self.compiled.fits(x):
            return self.compiled(x, self.pads(x.shape[2], x.shape[3]), self.ceiling)
        return self.run(x)

    def run(self, x: Tensor) -> Tensor:
        left, right, top, bottom = self.pads(x.shape[2], x.shape[3])
        weight = self.weight
        if self.longer is not None and right == left + 1 and bottom == top + 1:
            weight, left, top = self.longer, right, bottom
        elif left != right or top != bottom:
            x, left, top = F.pad(x, (left, right, top, bottom)), 0, 0
        if self.ceiling is None or _pointwise is None:
            return F.conv2d(x, weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        how = ("relu", [], "") if self.ceiling == float("inf") else ("hardtanh", [0.0, self.ceiling], "")
        return _pointwise(x, weight, self.bias, (top, left), self.stride, self.dilation, self.groups, *how)

    def input_gradient(self, g: Tensor, shape: torch.Size) -> Tensor:
        """Return the gradient (N, C, H, W) for an output gradient `g` and the input's shape."""
        left, right, top, bottom = self.pads(shape[2], shape[3])
        if self.flipped is None:
            return self._library_gradient(g, shape, (left, right, top, bottom))
        (kh, kw), (sh, sw) = self.kernel_size, self.stride
        if (sh, sw) == (1, 1) and left == right and top == bottom and top < kh and left < kw:
            return F.conv2d(g, self.flipped[0][0], None, 1, (kh - 1 - top, kw - 1 - left), 1, self.groups)
        out = g.new_zeros(shape).contiguous(memory_format=torch.channels_last)
        for a, row in enumerate(self.flipped):
            for b, sub in enumerate(row):
                jh, jw = sub.shape[2], sub.shape[3]
                part = F.conv2d(g, sub, None, 1, (jh - 1, jw - 1), 1, self.groups)
                # part[m] belongs to padded row a + sh * m; the first row inside the image is the first one >= top
                (m0, i0), (n0, j0) = _first(a, sh, top), _first(b, sw, left)
                room = out[:, :, i0::sh, j0::sw]
                h, w = min(room.shape[2], part.shape[2] - m0), min(room.shape[3], part.shape[3] - n0)
                if h > 0 and w > 0:
                    room[:, :, :h, :w] = part[:, :, m0 : m0 + h, n0 : n0 + w]
        return out

    def _library_gradient(self, g: Tensor, shape: torch.Size, pads: Pads) -> Tensor:
        left, right, top, bottom = pads
        padded = torch.Size((*shape[:2], shape[2] + top + bottom, shape[3] + left + right))
        even = left == right and top == bottom
        like = g.new_empty(1).expand(shape if even else padded)  # only its shape is read
        out = torch.ops.aten.convolution_backward(
            g, like, self.weight, None, self.stride, (top, left) if even else (0, 0), self.dilation,
            False, [0, 0], self.groups, [True, False, False],
        )[0]
        return out if even else out[:, :, top : top + shape[2], left : left + shape[3]]


def _first(phase: int, stride: int, pad: int) -> tuple[int, int]:
    """Return (m, i): the first index of this phase inside the image, counted in the phase and in the image."""
    m = max(0, -(-(pad - phase) // stride))
    return m, phase + stride * m - pad


class _InputGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, conv: FrozenConv2d) -> Tensor:
        ctx.conv, ctx.shape = conv, x.shape
        y = conv.run(x)
        if conv.ceiling is not None:
            ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, g: Tensor) -> tuple[Tensor, None]:
        if ctx.conv.ceiling is not None:
            (y,) = ctx.saved_tensors
            if ctx.conv.ceiling == float("inf"):
                g = torch.ops.aten.threshold_backward(g, y, 0)
            else:
                g = torch.ops.aten.hardtanh_backward(g, y, 0, ctx.conv.ceiling)
        return ctx.conv.input_gradient(g, ctx.shape), None
