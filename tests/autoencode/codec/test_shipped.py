"""The codec that ships, on photographs that come with scikit-image, and its commands."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image

from hubel.autoencode.codec import compress, decompress
from hubel.autoencode.codec.context import PER_UNIT
from hubel.autoencode.codec.exact import STEP
from hubel.autoencode.codec.integer import HIDDEN_STEP, Layer
from hubel.autoencode.restore import weights
from hubel.cli import run


def photo() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut()[:256, 100:420])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


@pytest.mark.parametrize("image", [photo(), skimage.data.chelsea(), skimage.data.coffee()[:, 60:500]])
def test_fewer_bytes_than_jpeg(image: np.ndarray) -> None:
    for quality in (1, 30, 60, 90):
        data = compress(image, quality)
        near = psnr(decompress(data), image)
        for level in range(1, 96):
            file = io.BytesIO()
            Image.fromarray(image).save(file, format="JPEG", quality=level, optimize=True, progressive=True)
            if psnr(np.asarray(Image.open(file)), image) >= near:
                break
        assert len(data) < file.tell()


def test_no_sum_of_the_shipped_weights_can_leave_the_exact_range() -> None:
    """The largest inputs and biases there are: below 2^24 where sums are in float32 (8-bit weights), else below 2^53."""
    tensors = weights.shipped("hubel.autoencode.codec", "codec.safetensors")
    layers = [name.removesuffix(".slope") for name in tensors if name.endswith(".conv.slope")] + ["synthesis.side", "synthesis.head"]
    layers += [name.removesuffix(".weight") for name in tensors if ".own." in name and name.endswith(".weight")]
    layers += [f"synthesis.blocks.{i}.{part}" for i in range(4) for part in ("first", "second")]
    assert len(layers) > 25
    for name in layers:
        step = STEP if name.startswith("synthesis") and "side" not in name else HIDDEN_STEP if "said" in name else 1 / PER_UNIT
        layer = Layer.named(tensors, name, step)
        bias = torch.stack([layer.biases(float(t)).abs() for t in tensors["conditions"][[0, -1]]]).amax(dim=0)
        most = layer.weight.double().abs().sum(dim=(1, 2, 3)) * 255 + bias
        assert most.max() < (2.0**24 if layer.weight.dtype is torch.int8 else 2.0**53), name


def test_quality_buys_likeness_and_costs_bytes() -> None:
    image = photo()
    files = [compress(image, quality) for quality in (1, 21, 41, 60, 80, 100)]
    sizes, near = [len(f) for f in files], [psnr(decompress(f), image) for f in files]
    assert sizes == sorted(sizes) and near == sorted(near) and near[0] > 20


def test_the_commands_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(photo()).save(tmp_path / "a.png")
    Image.fromarray(photo()[:, :, 0]).save(tmp_path / "grey.png")
    assert run(["compress", str(tmp_path / "a.png"), "-o", str(tmp_path / "x.hbl"), "--show", str(tmp_path / "show.png")]) == 0
    out = capsys.readouterr().out
    assert "320 x 256" in out and "bits a pixel" in out and "dB" in out
    assert run(["decompress", str(tmp_path / "x.hbl"), "-o", str(tmp_path / "back.png")]) == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "back.png")), decompress((tmp_path / "x.hbl").read_bytes()))
    assert Image.open(tmp_path / "show.png").size[0] > 600
    assert run(["compress", str(tmp_path / "a.png"), str(tmp_path / "grey.png"), "-o", str(tmp_path / "small"), "-q", "5"]) == 0
    assert run(["decompress", str(tmp_path / "small"), "-o", str(tmp_path / "pictures")]) == 0
    assert Image.open(tmp_path / "pictures" / "grey.png").mode == "L"


def test_files_that_cannot_be_read_are_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(photo()[:64, :64]).save(tmp_path / "a.png")
    good = compress(photo()[:64, :64])
    for name, data in (("cut.hbl", good[:-9]), ("foreign.hbl", (tmp_path / "a.png").read_bytes()), ("empty.hbl", b""),
                       ("good.hbl", good)):
        (tmp_path / name).write_bytes(data)
    capsys.readouterr()
    assert run(["decompress", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith(f"hubel: {tmp_path}") for line in lines)
    assert (tmp_path / "out" / "good.png").exists()
    for words in (["decompress", str(tmp_path / "none.hbl")], ["compress", str(tmp_path), "-o", "x.hbl", "-q", "0"],
                  ["compress", str(tmp_path / "a.png"), str(tmp_path / "a.png"), "-o", str(tmp_path / "x.hbl")]):
        assert run(words) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
