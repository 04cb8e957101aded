"""The file format: every byte that is changed or missing is noticed, in one line."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubel.autoencode.codec.container import Container
from hubel.errors import DataError

BOX = Container(513, 70_000, 3, 42, 0xBEEF, [-40_000, 7], b"\x01\x02\x03\x04" * 3)


@given(st.builds(Container, st.integers(1, 10_000), st.integers(1, 10_000), st.sampled_from((1, 3)), st.integers(1, 100),
                 st.integers(0, 65535), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5),
                 st.integers(0, 9).map(lambda n: bytes(range(4 * n)))))
def test_everything_comes_back(box: Container) -> None:
    assert Container.from_bytes(box.to_bytes()) == box


def test_the_layout_is_the_documented_one() -> None:
    data = Container(3, 300, 1, 9, 0x0102, [-1], b"abcd").to_bytes()
    assert data[:-4] == b"HBL" + bytes([2, 0x02, 0x01, 1, 9, 3, 0xAC, 0x02, 1, 1]) + b"abcd"
    assert struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4])


def test_each_flipped_bit_is_noticed() -> None:
    data = BOX.to_bytes()
    for place in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[place] ^= 1 << bit
            with pytest.raises(DataError):
                Container.from_bytes(bytes(broken))


def test_each_cut_is_noticed_and_named_in_one_line() -> None:
    data = BOX.to_bytes()
    for length in range(len(data)):
        with pytest.raises(DataError) as caught:
            Container.from_bytes(data[:length], "x.hbl")
        assert str(caught.value).startswith("x.hbl ") and "\n" not in str(caught.value)
    with pytest.raises(DataError, match="damaged"):
        Container.from_bytes(data + b"\0")


def test_foreign_and_later_files_say_so() -> None:
    with pytest.raises(DataError, match=r"no \.hbl file"):
        Container.from_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    later = bytearray(BOX.to_bytes())
    for version, remedy in ((3, "version 3.*update hubel"), (1, "version 1.*the hubel that wrote it")):
        later[3] = version
        with pytest.raises(DataError, match=remedy):
            Container.from_bytes(bytes(later))


def test_headers_with_a_right_checksum_that_promise_the_impossible() -> None:
    for box in (Container(0, 5, 3, 50, 0, [], b""), Container(2**20, 2**20, 3, 50, 0, [], b""), Container(5, 5, 2, 50, 0, [], b""),
                Container(5, 5, 3, 0, 0, [], b""), Container(5, 5, 3, 50, 0, [], b"abc")):
        with pytest.raises(DataError, match="impossible"):
            Container.from_bytes(box.to_bytes())
    endless = b"HBL" + bytes([2, 0, 0, 3, 50]) + b"\xff" * 30
    with pytest.raises(DataError, match="impossible"):
        Container.from_bytes(endless + struct.pack("<I", zlib.crc32(endless)))
