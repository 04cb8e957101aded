"""The TensorBoard callback: scalars in TensorBoard's own file format, written without its package.

A file is a row of TFRecords (length, CRC, bytes, CRC) of `Event` protocol buffers; only the few fields that a scalar
needs are written (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from functools import cache
from pathlib import Path
from typing import BinaryIO

from hubel.training.callbacks import Callback, Logs


class TensorBoard(Callback):
    """Writes each epoch's loss, metrics and rate to `log_dir`/train and `log_dir`/validation; with `update_freq`
    'batch' or a number of batches, the running training means within the epochs too, as batch_*."""

    def __init__(self, log_dir: str | Path = "logs", update_freq: str | int = "epoch") -> None:
        self.log_dir = Path(log_dir)
        self.every = 0 if update_freq == "epoch" else 1 if update_freq == "batch" else int(update_freq)
        self._files: dict[str, BinaryIO] = {}

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.every and self.run.step % self.every == 0:
            for name, value in (logs or {}).items():
                self._write("train", f"batch_{name}", value, self.run.step)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            tag = "epoch_" + name.removeprefix("val_")
            self._write(part, tag, value, epoch)
        for file in self._files.values():
            file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def _write(self, part: str, tag: str, value: float, step: int) -> None:
        if part not in self._files:
            folder = self.log_dir / part
            folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
            self._files[part] = (folder / name).open("wb")
            self._files[part].write(record(_double(1, time.time()) + _bytes(3, b"brain.Event:2")))
        summary = _bytes(1, _bytes(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        event = _double(1, time.time()) + b"\x10" + _varint(step) + _bytes(5, summary)
        self._files[part].write(record(event))


def record(data: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def crc32c(data: bytes) -> int:
    """The Castagnoli CRC that TFRecords carry."""
    value, table = 0xFFFFFFFF, _table()
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _masked(data: bytes) -> int:
    value = crc32c(data)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)
