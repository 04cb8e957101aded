"""The names of ImageNet's 1,000 classes in the order of the outputs of networks trained on it (ILSVRC 2012)."""

from __future__ import annotations

from importlib.resources import files

CLASSES: tuple[str, ...] = tuple(files("hubel.model").joinpath("imagenet.txt").read_text(encoding="utf-8").splitlines())
