"""Hubel: build convolutional networks, look inside them, break them, harden them, reuse what they learned."""

__version__ = "0.1.0"
