"""Networks from images to the same images: an encoder, a bottleneck, a decoder. Depends on nets.

    EncoderDecoder(nn.Sequential(Flatten(), Dense(32)), nn.Sequential(Dense(784), Reshape((28, 28, 1))), shape=(1, 28, 28))

They take normalised images and give pixels, 0..1, so that what they give compares with what the Model was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from hubel.errors import InputError
from hubel.nets.chain import PerChannel, Pixels, Shape, build_for
from hubel.nets.describe import describe, from_description
from hubel.nets.registry import register


class EncoderDecoder(nn.Module):
    """x' = d(e(x)) for images (N, *shape).

    encoder : (N, *shape) -> the code (N, ...), or, with `variational`, the code's means and log variances, one after the
        other along dimension 1 (Kingma and Welling 2014, arXiv:1312.6114).
    decoder : the code -> (N, *shape). It need not mirror the encoder.
    shape : (C, H, W). shift, scale : see `Pixels`.

    Layers of `hubel.nets` are built here. Raises InputError where shapes do not fit.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, shape: Sequence[int], *, variational: bool = False,
                 shift: PerChannel = 0.5, scale: PerChannel = 0.25) -> None:
        super().__init__()
        self.shape: Shape = tuple(int(n) for n in shape)
        self.variational = variational
        self.encoder, self.decoder, self.pixels = encoder, decoder, Pixels(shift, scale)
        inside = build_for(encoder, self.shape)
        if variational and inside[0] % 2:
            raise InputError(f"a variational encoder gives means and log variances: {inside[0]} numbers cannot be halved")
        self.code_shape: Shape = (inside[0] // 2, *inside[1:]) if variational else inside
        outside = build_for(decoder, self.code_shape)
        if outside != self.shape:
            raise InputError(f"the decoder gives {outside} for images of {self.shape} (channels, height, width): "
                             "its last layer must give the input's shape")
        about = describe(encoder), describe(decoder)
        self.spec: Any = None if None in about else {
            "name": "encoder_decoder", "classes": 0, "channels": 0, "encoder": about[0], "decoder": about[1],
            "shape": list(self.shape), "variational": variational, **self.pixels.config()}

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log variances (N, *code_shape) of a variational encoder's codes; the latter stay in -12..6."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)

    def encode(self, x: Tensor) -> Tensor:
        """The codes (N, *code_shape) of normalised images; of a variational encoder, their means."""
        return self.encoder(x).chunk(2, dim=1)[0] if self.variational else self.encoder(x)

    def decode(self, code: Tensor) -> Tensor:
        """Pixels (N, *shape), about 0..1, from codes."""
        return self.pixels(self.decoder(code))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


@register("encoder_decoder")
def _encoder_decoder(classes: int = 0, channels: int = 0, *, encoder: Any, decoder: Any, **options: Any) -> nn.Module:
    return EncoderDecoder(from_description(encoder), from_description(decoder), **options)
