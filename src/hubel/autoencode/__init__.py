"""Without labels: an encoder, a bottleneck, a decoder, and what they are good for. Depends on nets, training, model, look, reuse.

    coder = build("convolutional", size=28, channels=1, latents=16)
    coder.fit(images)
    coder.encode(images), coder.reconstruct(images)
"""

from hubel.autoencode.autoencoder import Autoencoder, build, load
from hubel.autoencode.bottleneck import Bottleneck, BottleneckWarning, bottleneck, which_narrows

__all__ = ["Autoencoder", "Bottleneck", "BottleneckWarning", "bottleneck", "build", "load", "which_narrows"]
