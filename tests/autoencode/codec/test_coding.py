"""compress and decompress with a network of random weights: what they promise must not depend on what it has learned."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from hubel.autoencode.codec import coding
from hubel.autoencode.codec.coding import Codec, assembled, chosen, compress, decompress
from hubel.autoencode.codec.container import Container
from hubel.autoencode.codec.context import FINE, LATENTS, WORTH
from hubel.autoencode.codec.exact import Arithmetic
from hubel.autoencode.codec.export import exported
from hubel.autoencode.codec.integer import Predictor
from hubel.autoencode.codec.layers import set_quantised
from hubel.autoencode.codec.network import BLOCK, CodecNet, to_blocks
from hubel.autoencode.codec.pixels import REACH, Painter
from hubel.autoencode.codec.tables import Tables, table
from hubel.autoencode.codec.transform import block_transform
from hubel.errors import DataError, InputError


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 20
    waves = np.stack([np.sin(rows * (k + 1) + k) + np.cos(columns * (k + 2)) for k in range(channels)], axis=-1)
    return (127 + 40 * waves + draws.normal(0, 10, waves.shape)).clip(0, 255).astype(np.uint8)


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope="module")
def network() -> CodecNet:
    torch.manual_seed(0)
    photo = picture(320, 320)
    network = CodecNet(*block_transform([photo], to_blocks(255 * tensor(photo) - 128).flatten(0, 2), LATENTS))
    for name, p in network.named_parameters():
        if name.endswith(("second.weight", "analysis.head.weight", "synthesis.head.weight", "slope")) and "said" not in name:
            p.data += 0.02 * torch.randn_like(p)  # starts at zero
        if name.endswith("head.conv.weight"):
            p.data *= 3  # so that there is something to be told
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tensors(network: CodecNet) -> dict[str, torch.Tensor]:
    return exported(network, [picture(128, 160)])


@pytest.fixture
def codec(tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> Codec:
    codec = assembled(tensors)
    monkeypatch.setattr(coding, "shipped", lambda: codec)
    return codec


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (63, 65), (64, 128), (130, 90)])
@pytest.mark.parametrize("quality", [1, 37, 100])
def test_the_decoder_reads_the_numbers_that_the_encoder_wrote(codec: Codec, size: tuple[int, int], quality: int) -> None:
    image = picture(*size)
    data = compress(image, quality)
    back = decompress(data)
    assert back.shape == image.shape and back.dtype == np.uint8
    y = coding.latents(codec, tensor(image), quality)
    known = coding.encode(codec, y, quality, lambda *_: None).numpy()
    assert np.array_equal(coding.decoded(codec, Container.from_bytes(data)).numpy(), known)
    assert np.abs(known / FINE - y[0].numpy()).max() <= 1 + 1e-3  # rounded up or down
    assert np.abs(known).max() > FINE


def test_likeness_grows_with_quality_to_that_of_its_step(codec: Codec, tensors: dict[str, torch.Tensor]) -> None:
    image = picture(96, 128)
    plain = assembled(tensors | {"synthesis.head.weight": torch.zeros_like(tensors["synthesis.head.weight"])})
    errors = []
    for quality in (1, 50, 100):
        y = coding.latents(codec, tensor(image), quality)
        known = coding.encode(codec, y, quality, lambda *_: None)
        errors.append(float(np.square(plain.painter.paint(known, quality).astype(float) - image).mean()))
    assert errors[0] > errors[1] > errors[2]


def test_the_same_pixels_whatever_they_are_computed_in(codec: Codec, tensors: dict[str, torch.Tensor],
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    data = compress(picture(100, 140), 80)
    first = decompress(data)
    assert first.std() > 1
    for dtype, products in ((torch.float64, torch.float64), (torch.float32, torch.float32)):
        other = Codec(**{**vars(codec), "painter": Painter(tensors, Arithmetic(dtype)), "predictor": Predictor(tensors, products)})
        monkeypatch.setattr(coding, "shipped", lambda other=other: other)
        assert np.array_equal(decompress(data), first)
        assert compress(picture(100, 140), 80) == data


def test_threads_and_tiles_change_nothing(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = compress(picture(BLOCK * (3 * REACH + 4), 200), 60)
    first = decompress(data)
    monkeypatch.setattr("hubel.autoencode.codec.pixels.TILE", 4)
    monkeypatch.setattr("hubel.autoencode.codec.integer.PLACES", 33)
    monkeypatch.setattr("hubel.autoencode.codec.planes.STRIP", 50)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads % 2 + 1)
        assert np.array_equal(decompress(data), first)
    finally:
        torch.set_num_threads(threads)


def test_tiles_of_the_encoder_agree(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    x = tensor(picture(500, 330))
    whole = coding.latents(codec, x, 40)
    monkeypatch.setattr(coding, "TILE", 128)
    torch.testing.assert_close(coding.latents(codec, x, 40), whole, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("quality", [5, 90])
def test_integers_are_what_the_network_learned_to_be(codec: Codec, network: CodecNet, quality: int) -> None:
    """The float network with rounding switched on, as it trains, against the integers: y, bits and pixels."""
    set_quantised(network)
    image = picture(112, 160)
    step = codec.painter.steps[quality - 1].view(1, 1, 1, 1) / 16.0
    t = step.log() - 3.4
    y = network.analysis(255 * tensor(image), t, step)
    bits, known, size = network.context(y, t)
    counted = []
    whole = coding.encode(codec, y, quality, lambda q, which, tables: counted.append(codec.tables.bits(q, which).sum()))
    differs = (whole / FINE - known[0]).abs() > 2 / FINE  # rounded the other way, as the tables are other than the Laplacians
    assert differs.float().mean() < 0.1
    assert 0.8 < sum(counted) / float(bits) < 1.1
    got = codec.painter.paint((known[0] * FINE).round().int(), quality).astype(float)
    wanted = network.synthesis(known, size, t, step)[0].clamp(0, 255).permute(1, 2, 0).numpy()
    assert np.abs(got - wanted).mean() < 0.3 + 0.02 * wanted.std()


def test_rounding_takes_the_cheaper_of_both() -> None:
    t = Tables.of([table(np.exp(-np.abs(np.arange(-4, 6)) / s) + 1e-9) for s in (0.2, 3.0)])
    left = np.random.default_rng(0).normal(0, 2, 400)
    which = np.arange(400, dtype=np.uint8) % 2
    q = chosen(left, which, t)
    for value, table_, got in zip(left, which, q, strict=True):
        costs = {c: WORTH * (value - c) ** 2 + float(t.bits(np.array([c]), np.array([table_]))[0])
                 for c in (int(np.floor(value)), int(np.ceil(value)))}
        assert costs[int(got)] == min(costs.values())


def test_grey_stays_grey(codec: Codec) -> None:
    grey = picture(70, 50, channels=1)
    for image in (grey, grey[..., 0]):
        assert decompress(compress(image)).shape == (70, 50, 1)
    assert compress(grey) == compress(grey[..., 0]) == compress(grey.astype(np.float32) / 255)


def test_numbers_beyond_the_tables_come_back(codec: Codec) -> None:
    image = picture(64, 64)
    y = coding.latents(codec, tensor(image), 100)
    y[0, :3] *= 400
    writer = coding.Writer()
    known = coding.encode(codec, y, 100, writer.put)
    assert len(writer.escapes) > 10
    box = Container(64, 64, 3, 100, codec.fingerprint, writer.escapes, writer.words())
    assert torch.equal(coding.decoded(codec, Container.from_bytes(box.to_bytes())), known)
    assert decompress(box.to_bytes()).shape == image.shape


@pytest.mark.parametrize("quality", [0, 101, 2.5, True])
def test_qualities_there_are_not(codec: Codec, quality: object) -> None:
    with pytest.raises(InputError, match="quality"):
        compress(picture(8, 8), quality)  # type: ignore[arg-type]


def test_images_there_are_not(codec: Codec) -> None:
    with pytest.raises(InputError, match="no picture"):
        compress(np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(InputError, match="no pixels"):
        compress(np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(InputError):
        compress(np.full((4, 4), np.nan))


def test_files_of_other_codecs_and_forged_symbols(codec: Codec) -> None:
    data = compress(picture(64, 64))
    box = Container.from_bytes(data)
    other = Container(**{**vars(box), "fingerprint": box.fingerprint ^ 1})
    with pytest.raises(DataError, match=r"a\.hbl was written with codec"):
        decompress(other.to_bytes(), "a.hbl")
    for words in (b"", b"\xff" * 40, bytes(range(200))):  # a right checksum over symbols that nobody coded
        forged = Container(**{**vars(box), "words": words, "escapes": []}).to_bytes()
        with contextlib.suppress(DataError):  # nothing else may come of it
            assert decompress(forged).shape == (64, 64, 3)
