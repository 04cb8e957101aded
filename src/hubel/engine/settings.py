"""Switches for what the engine does, so that each gain can be measured and each doubt settled. Depends on nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Settings:
    """What the engine may do. Results do not depend on these beyond rounding; what is reported is checked in fp32.

    layout : channels-last memory.
    bf16 : 16-bit brain floats where the CPU computes in them and a self-test on the shape at hand passes.
    folding : batch norm folded into the layer before it, in frozen networks.
    fusion : ReLU and ReLU6 computed together with the convolution before them, in frozen networks.
    input_gradient : the engine's own gradient with respect to inputs (`engine.conv`), in frozen networks.
    depthwise : depthwise convolutions in bf16 by the compiled core (`convolve.Depthwise`), in frozen networks.
    keep_memory : keep freed memory in the process (`engine.memory`).
    """

    layout: bool = True
    bf16: bool = True
    folding: bool = True
    fusion: bool = True
    input_gradient: bool = True
    depthwise: bool = True
    keep_memory: bool = True


settings = Settings()


@contextmanager
def using(**changes: bool) -> Iterator[Settings]:
    """Change settings for a `with` block: `with using(bf16=False): ...`."""
    before = dict(vars(settings))
    for name, value in changes.items():
        if name not in before:
            raise TypeError(f"no engine setting {name!r}: there are {', '.join(before)}")
        setattr(settings, name, value)
    try:
        yield settings
    finally:
        for name, value in before.items():
            setattr(settings, name, value)
