"""A learned codec for photographs: `compress` to the bytes of a .hbl file, `decompress` back, the same pixels everywhere."""

from hubel.autoencode.codec.coding import compress, decompress

__all__ = ["compress", "decompress"]
