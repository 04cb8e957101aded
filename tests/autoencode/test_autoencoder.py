"""Autoencoder: what its parts compute, against torch by hand and PCA; learning, resuming, files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hubel import autoencode
from hubel.autoencode import learning
from hubel.autoencode.architectures import network
from hubel.errors import InputError, ModelError
from hubel.model import Model
from hubel.nets import Dense, EncoderDecoder, Flatten, Reshape, SubPixel2D, UpSampling2D, UShaped


def test_codes_and_images_are_what_the_layers_compute() -> None:
    made = autoencode.build("dense", (4, 6), 3, 5, widths=())
    x = np.random.default_rng(0).integers(0, 256, (7, 4, 6, 3), dtype=np.uint8)
    dense, back = made.network.encoder[1].linear, made.network.decoder[0].linear
    seen = (torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    code = seen.flatten(1) @ dense.weight.T + dense.bias
    image = (0.25 * (code @ back.weight.T + back.bias) + 0.5).reshape(7, 3, 4, 6).permute(0, 2, 3, 1)
    np.testing.assert_allclose(made.encode(x), code.detach().numpy(), atol=1e-5)
    expected = (image.detach().clamp(0, 1) * 255).round().numpy()
    assert np.abs(made.decode(made.encode(x)).astype(float) - expected).max() <= 1
    np.testing.assert_array_equal(made.reconstruct(x), made.decode(made.encode(x)))


def test_linear_autoencoder_learns_the_span_of_pca() -> None:
    """Baldi and Hornik 1989: the best linear autoencoder of k numbers loses what PCA with k components loses."""
    draw = np.random.default_rng(0)
    hidden = draw.normal(size=(800, 3)) @ draw.normal(size=(3, 36)) * 12 + draw.normal(size=(800, 36)) * 3
    x = np.clip(hidden + 128, 0, 255).round().astype(np.uint8).reshape(-1, 6, 6, 1)
    made = autoencode.build("dense", 6, 1, 3, widths=())
    made.fit(x, epochs=100, batch_size=100, learning_rate=1e-2, verbose=0)
    rows = x.reshape(800, 36) / 255.0
    left = np.linalg.svd(rows - rows.mean(0), compute_uv=False)[3:]
    best = (left**2).sum() / rows.size
    assert best <= made.error(x).mean() < 1.03 * best


def test_reshape_undoes_flatten_and_upsampling_repeats() -> None:
    x = torch.arange(12.0)[None]
    shaped = Reshape((2, 3, 2))(x)
    assert shaped.shape == (1, 2, 2, 3) and torch.equal(shaped.flatten(1), x)
    up = UpSampling2D(2)(shaped)
    np.testing.assert_array_equal(up[0, 0].numpy(), np.kron(shaped[0, 0].numpy(), np.ones((2, 2))))
    with pytest.raises(InputError, match="has 6 numbers"):
        EncoderDecoder(nn.Sequential(Flatten(), Dense(4)), nn.Sequential(Reshape((2, 3, 1))), (1, 2, 3))


def test_sub_pixels_are_a_transposed_convolution_and_begin_as_repeated_pixels() -> None:
    layer = SubPixel2D(3, 3)
    layer.build((2, 5, 4))
    x = torch.randn(2, 2, 5, 4)
    y = layer(x)
    assert y.shape == (2, 3, 10, 8)
    assert torch.equal(y, y[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))
    nn.init.normal_(layer.conv.weight)
    y = layer(x)
    for a in range(2):
        for b in range(2):  # each of the 4 pixels of a place comes from a filter of its own
            own = torch.conv2d(x, layer.conv.weight[2 * a + b :: 4], layer.conv.bias[2 * a + b :: 4], padding=1)
            torch.testing.assert_close(y[:, :, a::2, b::2], own)


def test_loss_is_the_error_and_its_gradient_that_of_the_logarithm() -> None:
    y = torch.rand(5, 1, 3, 3)
    outputs = torch.rand(5, 1, 3, 3, requires_grad=True)
    value = learning.reconstruction("mse")(outputs, y).mean()
    expected = (outputs - y).square().mean()
    torch.testing.assert_close(value, expected)
    (gradient,) = torch.autograd.grad(value, outputs)
    (logarithm,) = torch.autograd.grad(expected.log(), outputs)
    torch.testing.assert_close(gradient, logarithm)


def test_divergence_against_torch_distributions() -> None:
    mean, log_variance = torch.randn(5, 4), torch.randn(5, 4)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(learning.divergence(mean, log_variance), expected)


def test_evidence_is_a_gaussian_likelihood_and_the_divergence() -> None:
    image, y = torch.rand(6, 1, 3, 2), torch.randint(0, 256, (6, 1, 3, 2), dtype=torch.uint8)
    mean, log_variance = torch.randn(6, 2), torch.randn(6, 2)
    rows = torch.cat([image.flatten(1), mean, log_variance], dim=1)
    target = y.float() / 255
    sigma = (image - target).square().mean().sqrt()
    log_likelihood = torch.distributions.Normal(image, sigma).log_prob(target).flatten(1).sum(1)
    expected = (-log_likelihood + 3 * learning.divergence(mean, log_variance)) / 6 - 0.5 * np.log(2 * np.pi)
    torch.testing.assert_close(learning.evidence((1, 3, 2), 2, 3.0)(rows, y), expected)


def test_variational_codes_are_drawn_while_learning_and_means_afterwards() -> None:
    net = network("variational", (8, 8), 1, 3, seed=0, width=4)
    trained = learning.Variational(net)  # type: ignore[arg-type]
    x = torch.randn(4, 1, 8, 8)
    trained.eval()
    image, mean, _ = learning.split(trained(x), (1, 8, 8), 3)
    torch.testing.assert_close(image, net.decode(mean))
    torch.testing.assert_close(mean, net.encode(x))
    trained.train()
    for norm in (m for m in trained.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.eval()
    first, second = (learning.split(trained(x), (1, 8, 8), 3) for _ in range(2))
    assert torch.equal(first[1], second[1]) and not torch.allclose(first[0], second[0])


@pytest.mark.parametrize("kind", ["dense", "convolutional", "variational", "u"])
@pytest.mark.filterwarnings("ignore::hubel.autoencode.BottleneckWarning")
def test_every_kind_learns_and_comes_back_from_its_file(kind: str, tmp_path: Path, spots: np.ndarray) -> None:
    made = autoencode.build(kind, 16, 1, latents=8, **({"widths": (64,)} if kind == "dense" else {"width": 8}))
    before = made.error(spots[:100]).mean()
    history = made.fit(spots, epochs=4, batch_size=50, verbose=0, validation=0.1)
    assert made.error(spots[:100]).mean() < 0.3 * before
    assert {"loss", "val_loss", "psnr", "val_psnr"} <= set(history.history)
    path = made.save(tmp_path / "spots.hubel")
    again = autoencode.load(path)
    np.testing.assert_array_equal(again.reconstruct(spots[:20]), made.reconstruct(spots[:20]))
    assert again.code_shape == made.code_shape and again.notes["bottleneck"]
    model = Model.load(path)  # and like any other model
    assert model.layers() and model.classes == ("grey",) and model.hash == again.hash


def test_map_as_code_and_a_decoder_that_is_no_mirror(blobs: Callable[..., np.ndarray]) -> None:
    made = autoencode.build("convolutional", (16, 24), 3, (4, 6, 2), width=8, decoder_width=4, stages=2)
    x = blobs(5, 24, 3)[:, :16]
    codes = made.encode(x)
    assert codes.shape == (5, 4, 6, 2) and made.code_shape == (4, 6, 2)
    back = made.decode(codes)
    np.testing.assert_array_equal(back, made.reconstruct(x))
    np.testing.assert_array_equal(made.decode(codes[3]), back[3:4])


def test_the_usual_code_is_a_48th_of_the_image_and_of_large_images_a_map() -> None:
    lecture = autoencode.build("convolutional", 128, 3)
    assert lecture.code_shape == (16, 16, 4) and lecture.bottleneck.passing == 1024  # type: ignore[union-attr]
    assert lecture.encode(np.zeros((2, 128, 128, 3), np.uint8)).shape == (2, 16, 16, 4)
    assert autoencode.build("convolutional", (64, 72), 1).code_shape == (8, 9, 1)
    assert autoencode.build("convolutional", 32, 3).code_shape == autoencode.build("variational", 32, 3).code_shape == (64,)
    assert autoencode.build("convolutional", 28, 1).code_shape == (16,)
    assert autoencode.build("dense", 128, 1).code_shape == (341,)


def test_own_networks_from_plain_layers(tmp_path: Path, spots: np.ndarray) -> None:
    net = EncoderDecoder(nn.Sequential(nn.Conv2d(1, 2, 4, 4), nn.Tanh(), Flatten(), nn.Linear(32, 6)),
                         nn.Sequential(Dense(64, "elu"), Reshape((4, 4, 4)), UpSampling2D(4), nn.Conv2d(4, 1, 3, padding=1)),
                         (1, 16, 16))
    made = autoencode.Autoencoder(net)
    made.fit(spots[:100], epochs=1, verbose=0)
    again = autoencode.load(made.save(tmp_path / "own.hubel"))
    np.testing.assert_array_equal(again.encode(spots[:5]), made.encode(spots[:5]))


def test_noise_is_seen_by_the_encoder_and_not_asked_for(spots: np.ndarray) -> None:
    x = torch.from_numpy(spots[:8]).permute(0, 3, 1, 2)
    change = learning.altered(None, 0.2, (16, 16))
    seen, target = change(x, x, None)
    assert torch.equal(target, x) and seen.dtype == torch.float32
    assert 0.05 < (seen - x / 255).std() < 0.2 and seen.min() >= 0 and seen.max() <= 1
    plain = autoencode.build("convolutional", 16, 1, 8, width=8)
    plain.fit(spots, epochs=2, batch_size=50, verbose=0, noise=0.2, augment="image")


def test_wrong_inputs_are_one_line(blobs: Callable[..., np.ndarray]) -> None:
    with pytest.raises(InputError, match="can be halved 0 times"):
        autoencode.build("convolutional", 15, 1, 4)
    with pytest.raises(InputError, match="one of dense"):
        autoencode.build("deep", 16, 1, 4)
    with pytest.raises(InputError, match="latents=0"):
        autoencode.build("dense", 16, 1, 0)
    with pytest.raises(InputError, match="'depth'"):
        autoencode.build("dense", 16, 1, 4, depth=3)
    made = autoencode.build("dense", 8, 1, 4)
    with pytest.raises(InputError, match="codes of shape"):
        made.decode(np.zeros((2, 5)))
    with pytest.raises(InputError, match="noise=3"):
        made.fit(blobs(10, 8), noise=3, verbose=0)
    with pytest.raises(InputError, match="loss='ssim'"):
        made.fit(blobs(10, 8), loss="ssim", verbose=0)
    with pytest.raises(ModelError, match="is no autoencoder"):
        autoencode.Autoencoder(nn.Linear(3, 3))
    with pytest.raises(ModelError, match="a U-net cannot decode"), pytest.warns(autoencode.BottleneckWarning):
        autoencode.build("u", 16, 1, 4).decode(np.zeros((1, 4, 4, 1)))
    with pytest.raises(InputError, match="does not enlarge"):
        UShaped(nn.Sequential(nn.Conv2d(1, 2, 3, 2)), 1, (1, 8, 8))


def test_another_model_is_no_autoencoder(tmp_path: Path) -> None:
    path = Model(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), size=2, channels=1).save(tmp_path / "m.hubel")
    with pytest.raises(ModelError, match="no autoencoder"):
        autoencode.load(path)


def test_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """kill -9 in the middle, then the same call: the same bits as without."""
    recipe = textwrap.dedent("""
        import numpy as np, torch
        from hubel import autoencode
        def train(checkpoint):
            x = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), dtype=np.uint8)
            made = autoencode.build("variational", 8, 1, 4, width=4)
            made.fit(x, epochs=8, batch_size=20, checkpoint=checkpoint, checkpoint_seconds=0.1, verbose=0)
            return made.network.state_dict()
    """)
    parts = tmp_path / "parts"
    run = subprocess.Popen([sys.executable, "-c", f"{recipe}\ntorch.set_num_threads(1)\ntrain({str(parts)!r})\n"
                                                  f"open({str(tmp_path / 'done')!r}, 'w')"])
    deadline = time.monotonic() + 300
    while not parts.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL and not (tmp_path / "done").exists()
    names: dict[str, Any] = {}
    exec(recipe, names)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, joined = names["train"](tmp_path / "whole"), names["train"](parts)
    finally:
        torch.set_num_threads(threads)
    for name, value in whole.items():
        assert torch.equal(value, joined[name]), name


def test_dataset_is_streamed_and_labels_are_not_looked_at(spots: np.ndarray) -> None:
    from hubel.data import load

    source = load((spots[:60], np.arange(60) % 2))
    first, second = (autoencode.build("dense", 16, 1, 4, widths=(16,)) for _ in range(2))
    first.fit(source.train, epochs=2, verbose=0)
    second.fit(source.train.arrays((16, 16), 1), epochs=2, verbose=0)
    np.testing.assert_array_equal(first.encode(source.test), second.encode(source.test.arrays((16, 16), 1)))
