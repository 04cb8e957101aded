"""The bytes of a .hbl file: a header, the symbols, a checksum. Depends on the standard library.

    3 bytes  "HBL"
    1        format version
    2        the codec's fingerprint: which weights and tables
    1        channels: 1 or 3
    1        quality, 1 to 100
    varints  height, width, number of escapes, the escapes (zigzag)
    4n       the entropy coder's words, little-endian
    4        CRC-32 of all before

Varints are LEB128: seven bits a byte, the lowest first, the top bit set on all but the last.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from hubel.errors import DataError

MAGIC = b"HBL"
VERSION = 2
MAX_PIXELS = 178_956_970  # as many as an image file may have here


@dataclass(frozen=True)
class Container:
    """What a file holds. `fingerprint` 0..65535, `words` the entropy coder's."""

    height: int
    width: int
    channels: int
    quality: int
    fingerprint: int
    escapes: list[int]
    words: bytes

    def to_bytes(self) -> bytes:
        out = bytearray(MAGIC + struct.pack("<BHBB", VERSION, self.fingerprint, self.channels, self.quality))
        for value in (self.height, self.width, len(self.escapes), *(_zigzag(e) for e in self.escapes)):
            out += _varint(value)
        out += self.words
        return bytes(out + struct.pack("<I", zlib.crc32(out)))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "the data") -> Container:
        """Return what `to_bytes` wrote. Raises DataError, one line that begins with `name`."""
        if not data:
            raise DataError(f"{name} is empty (0 bytes)")
        if data[:3] != MAGIC[: len(data)]:
            raise DataError(f"{name} is no .hbl file: it begins with {data[:4]!r}")
        if len(data) < 15:
            raise DataError(f"{name} is cut off after {len(data)} bytes: copy it again")
        version, fingerprint, channels, quality = struct.unpack("<BHBB", data[3:8])
        if version != VERSION:
            remedy = "update hubel" if version > VERSION else "decompress it with the hubel that wrote it, and compress the picture again"
            raise DataError(f"{name} is of format version {version}, this hubel reads version {VERSION}: {remedy}")
        if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            raise DataError(f"{name} is damaged or cut off (its checksum does not fit its {len(data)} bytes): copy it again")
        place, values = 8, []
        try:
            for _ in range(3):
                value, place = _read_varint(data, place)
                values.append(value)
            height, width, count = values
            if count > len(data):
                raise ValueError(f"{count} escapes")
            escapes = []
            for _ in range(count):
                value, place = _read_varint(data, place)
                escapes.append((value >> 1) ^ -(value & 1))
            if channels not in (1, 3) or not 1 <= quality <= 100 or not 0 < height * width <= MAX_PIXELS:
                raise ValueError(f"{height} x {width} pixels, {channels} channels, quality {quality}")
            words = data[place:-4]
            if len(words) % 4:
                raise ValueError(f"{len(words)} bytes of symbols")
        except (ValueError, IndexError) as error:
            raise DataError(f"{name} holds an impossible header ({error}): it was not written by hubel") from error
        return cls(height, width, channels, quality, fingerprint, escapes, words)


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if shift > 28:
            raise ValueError("a number of more than 32 bits")
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
