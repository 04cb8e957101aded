"""compress and decompress with a network of random weights: what they promise must not depend on what it has learned."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from hubel.autoencode.codec import coding
from hubel.autoencode.codec.coding import Codec, assembled, compress, decompress
from hubel.autoencode.codec.container import Container
from hubel.autoencode.codec.exact import Arithmetic
from hubel.autoencode.codec.export import exported
from hubel.autoencode.codec.integer import REACH, Decoder
from hubel.autoencode.codec.layers import set_quantised
from hubel.autoencode.codec.network import FINE, LAMBDAS, LATENTS, CodecNet, checkerboard
from hubel.errors import DataError, InputError


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 20
    waves = np.stack([np.sin(rows * (k + 1) + k) + np.cos(columns * (k + 2)) for k in range(channels)], axis=-1)
    return (127 + 40 * waves + draws.normal(0, 10, waves.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> CodecNet:
    torch.manual_seed(0)
    network = CodecNet()
    for name, p in network.named_parameters():
        if name.endswith("second.weight"):  # starts at zero
            torch.nn.init.normal_(p, std=0.02)
        if name in ("analysis.head.weight", "hyper_analysis.head.weight", "prediction.head.weight"):
            p.data *= 20  # so that there is something to code, and to predict
        if name in ("synthesis.stem.weight", "synthesis.head.weight"):
            p.data *= 4
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
    box, position = Container.from_bytes(data), (quality - 1) / 99 * (len(LAMBDAS) - 1)
    y = coding.latents(codec, torch.from_numpy(image).permute(2, 0, 1)[None] / 255, position)
    black = coding._black(y.shape[2:])
    coded = coding.symbols_of(codec, y, position)
    features = codec.decoder.features(torch.from_numpy(coded[0][0]).double().view(1, -1, y.shape[2] // 4, y.shape[3] // 4))
    mean, _ = codec.decoder.predict(features, black)
    read = coding._read_latents(codec, box, position)[0].numpy()
    assert np.array_equal(read[:, black], coded[1][0].reshape(LATENTS, -1) * FINE + mean)
    assert np.abs(read / FINE - y[0].numpy()).max() <= 0.5 + 1e-3  # each within half a step of what it was
    assert np.abs(read).max() > FINE


def test_the_same_pixels_whatever_they_are_computed_in(codec: Codec, tensors: dict[str, torch.Tensor],
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    data = compress(picture(100, 140), 80)
    first = decompress(data)
    assert first.std() > 1
    for dtype in (torch.float64, torch.float32):
        other = Codec(**{**vars(codec), "decoder": Decoder(tensors, Arithmetic(dtype))})
        monkeypatch.setattr(coding, "shipped", lambda other=other: other)
        assert np.array_equal(decompress(data), first)


def test_threads_and_tiles_change_nothing(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = compress(picture(16 * (3 * REACH + 4), 200), 60)
    first = decompress(data)
    monkeypatch.setattr(coding, "TILE", 64)
    monkeypatch.setattr("hubel.autoencode.codec.integer.PLACES", 33)
    monkeypatch.setattr("hubel.autoencode.codec.exact.STRIP", 5000)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads % 2 + 1)
        assert np.array_equal(decompress(data), first)
    finally:
        torch.set_num_threads(threads)


def test_tiles_of_the_encoder_agree(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.from_numpy(picture(500, 330)).permute(2, 0, 1)[None] / 255
    whole = coding.latents(codec, x, 2.0)
    monkeypatch.setattr(coding, "TILE", 128)
    torch.testing.assert_close(coding.latents(codec, x, 2.0), whole, atol=1e-4, rtol=1e-4)


def test_integers_are_what_the_network_learned_to_be(codec: Codec, network: CodecNet) -> None:
    """The float network with rounding switched on, as it trains, against the integers: predictions and pixels."""
    set_quantised(network)
    draws = torch.Generator().manual_seed(0)
    z = torch.randint(-3, 4, (1, 48, 2, 3), generator=draws).float()
    features = network.hyper_synthesis(z)
    whole = codec.decoder.features(z.double())
    assert (whole - features * 4095 / 6).abs().max() <= 2 and whole.std() > 20
    y = torch.randint(-3 * FINE, 3 * FINE, (1, LATENTS, 8, 12), generator=draws)
    white = checkerboard(features)
    mean, index = network.prediction(features, network.prediction.context(y / FINE, white))
    black_y = (y[0] * (1 - white[0])).int()
    m, i = codec.decoder.predict(whole, white[0, 0].numpy() > 0, black_y)
    places = white[0, 0] > 0
    assert np.abs(m - (mean[0][:, places] * FINE).numpy()).max() <= 0.6
    assert np.abs(i - index[0][:, places].numpy()).max() <= 0.6
    x = network.synthesis(y.float() / FINE * network.inverse_gain[3].exp()[:, None, None])
    wanted = ((x[0] + 0.5) * 255).clamp(0, 255).permute(1, 2, 0).numpy()
    got = codec.decoder.pixels(y, 3.0).numpy()
    assert np.abs(got - wanted).mean() < 0.05 * wanted.std()


def test_grey_stays_grey(codec: Codec) -> None:
    grey = picture(70, 50, channels=1)
    for image in (grey, grey[..., 0]):
        assert decompress(compress(image)).shape == (70, 50, 1)
    assert compress(grey) == compress(grey[..., 0]) == compress(grey.astype(np.float32) / 255)


def test_numbers_beyond_the_tables_come_back(codec: Codec) -> None:
    image = picture(64, 64)
    before = len(Container.from_bytes(compress(image, 100)).escapes)
    codec.gain.data *= 40
    try:
        data = compress(image, 100)
        box = Container.from_bytes(data)
        assert len(box.escapes) > before
        y = coding.latents(codec, torch.from_numpy(image).permute(2, 0, 1)[None] / 255, 5.0)
        read = coding._read_latents(codec, box, 5.0)[0].numpy()
        assert np.abs(read / FINE - y[0].numpy()).max() <= 0.51
    finally:
        codec.gain.data /= 40


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
