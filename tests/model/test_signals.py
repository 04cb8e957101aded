"""Models of sound, series and volumes: shapes of every kind, saving, training, and one line for what does not fit."""

import numpy as np
import pytest
import torch
from torch import nn

import hubel
from hubel import Model, Sequential, nets
from hubel.data import load
from hubel.errors import InputError
from hubel.model import Signals, Sound
from hubel.nets import build

RATE = 8000


def sound_model(bands=24, length=2400):
    network = build("small_resnet", 3, 1, seed=0, width=8, stages=2) if bands else build("waveform", 3, 1, seed=0, width=8, depth=3)
    return Model(network, "abc", preprocess=Sound(RATE, length, bands, std=(2.0,)))


@pytest.mark.parametrize("bands", [0, 24])
def test_sound_in_every_form(bands):
    model = sound_model(bands)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 2400)).astype(np.float32)
    expected = model.predict(x)
    assert expected.shape == (4, 3)
    for same in (torch.from_numpy(x), list(x), [torch.from_numpy(row) for row in x], x.astype(np.float64)):
        np.testing.assert_allclose(model.predict(same), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(x[0]), expected[:1], atol=1e-5)
    sixteen = np.round(x * 32768).astype(np.int16)
    np.testing.assert_allclose(model.predict(sixteen), expected, atol=5e-3)
    longer = np.pad(x, ((0, 0), (100, 100)))
    np.testing.assert_allclose(model.predict(longer), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict([x[0], x[1, 200:-200]])[0], expected[0], atol=1e-5)
    assert model.features(x).shape[0] == 4 and "abc"[0] in model.classes


def test_loudness_does_not_count_nor_with_bands_the_microphone():
    x = torch.rand(2, 2400, generator=torch.Generator().manual_seed(1)) - 0.5
    for level in ("recording", "band"):
        inputs = Sound(RATE, 2400, 24, level=level)
        torch.testing.assert_close(inputs(x), inputs(x * 0.25), rtol=1e-3, atol=1e-3)
    muffled = torch.fft.irfft(torch.fft.rfft(x) * torch.linspace(1, 0.2, 1201), 2400)
    assert (inputs(x) - inputs(muffled)).abs().mean() < 0.1
    assert (Sound(RATE, 2400, 24)(x) - Sound(RATE, 2400, 24)(muffled)).abs().mean() > 0.5
    assert abs(float(inputs(x).mean(3).abs().max())) < 1e-4


@pytest.mark.parametrize("bands", [0, 24])
def test_gradients_reach_the_sound(bands):
    model = sound_model(bands)
    model.network.double()
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand(2, 2400, generator=generator, dtype=torch.float64) - 0.5).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
    direction = torch.randn(2, 2400, generator=generator, dtype=torch.float64) * 1e-5
    with torch.no_grad():
        change = (model(x + direction)[:, 0].sum() - model(x - direction)[:, 0].sum()).item() / 2
    assert change == pytest.approx((gradient * direction).sum().item(), rel=1e-2)


@pytest.mark.parametrize(("x", "word"), [
    (np.zeros((2, 2400, 1)), r"\(N, T\)"), (np.full((1, 2400), np.nan), "NaN"), (np.full((1, 2400), 3.0), "-1..1"),
    (np.zeros((1, 0)), "sound of shape"), ("bark.wav", "numbers"),
])  # fmt: skip
def test_bad_sound_gets_one_line(x, word):
    with pytest.raises(InputError, match=word) as caught:
        sound_model().predict(x)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bands", [0, 24])
def test_models_of_sound_survive_saving(tmp_path, bands):
    model = sound_model(bands)
    again = Model.load(model.save(tmp_path / "m.hubel"))
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3000))
    np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-6)
    assert again.preprocess == model.preprocess and again.kind == "sound" and again.hash == model.hash


def test_a_model_learns_pitches_from_a_data_set_of_sound_at_another_rate():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    at = np.arange(2 * 2400)
    x = [0.3 * np.sin(2 * np.pi * (400, 700, 1200)[k] * at[: 4000 + 200 * (i % 5)] / (2 * RATE) + i) + rng.normal(0, 0.02, 4000 + 200 * (i % 5))
         for i, k in enumerate(y)]
    source = load((x, y), rate=2 * RATE)
    model = sound_model()
    model.compile("adamw", learning_rate=0.01)
    model.fit(source.train.at_rate(RATE), epochs=20, batch_size=8, verbose=0, seed=0)
    assert model.evaluate(source.test, return_dict=True)["accuracy"] > 0.9
    np.testing.assert_array_equal(model.predict(source.test).argmax(1), model.predict(source.test.at_rate(RATE)).argmax(1))
    with pytest.raises(InputError, match="takes sound"):
        model.predict(load("digits").test)
    with pytest.raises(InputError, match="takes images"):
        Model(build("lenet", 3, 1), size=28, channels=1).predict(source.test)


def test_series_are_channels_last_in_numpy_and_first_in_torch(tmp_path):
    network = build("series_fcn", 3, 2, seed=0, width=8)
    model = Model(network, "abc", mean=(0.5, -0.5), std=(2.0, 3.0))
    assert model.kind == "series"
    x = np.random.default_rng(0).normal(size=(5, 40, 2)).astype(np.float32)
    t = torch.from_numpy(x).permute(0, 2, 1)
    with torch.no_grad():
        normal = (t - torch.tensor([0.5, -0.5])[:, None]) / torch.tensor([2.0, 3.0])[:, None]
        expected = network.eval()(normal).softmax(1).numpy()
    for same in (x, t, list(x), list(t)):
        np.testing.assert_allclose(model.predict(same), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(x[1]), expected[1:2], atol=1e-5)
    one = Model(build("series_fcn", 3, 1, seed=0, width=8))
    np.testing.assert_allclose(one.predict(x[..., 0]), one.predict(x[..., :1]), atol=1e-6)
    np.testing.assert_allclose(one.predict(x[0, :, 0]), one.predict(x[:1, :, 0]), atol=1e-6)
    again = Model.load(model.save(tmp_path / "s.hubel"))
    np.testing.assert_allclose(again.predict(x), expected, atol=1e-5)
    for wrong in (x.transpose(0, 2, 1), x[..., :1], np.zeros((2, 3, 4, 5))):
        with pytest.raises(InputError, match="2-channel series"):
            model.predict(wrong)


def test_volumes(tmp_path):
    model = Sequential([hubel.Conv3D(4, 3, activation="relu", input_shape=(6, 7, 8, 2)), nets.MaxPooling3D(2),
                        nn.BatchNorm3d(4), nets.Residual(6), nets.GlobalAveragePooling3D(), hubel.Dense(2)], seed=0)
    assert model.summary(None).rows[0].shape == (4, 4, 5, 6)
    x = np.random.default_rng(0).normal(size=(3, 6, 7, 8, 2)).astype(np.float32)
    expected = model.predict(x)
    np.testing.assert_allclose(model.predict(torch.from_numpy(x).permute(0, 4, 1, 2, 3)), expected, atol=1e-5)
    np.testing.assert_allclose(Model.load(model.save(tmp_path / "v.hubel")).predict(x), expected, atol=1e-5)


@pytest.mark.parametrize("declare", [True, False])
def test_sequential_of_one_dimension_learns_which_of_two_series_rises(declare):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = rng.normal(0, 0.3, (200, 30, 2))
    x[np.arange(200), :, y] += np.linspace(-1, 1, 30)
    first = {"input_shape": (30, 2)} if declare else {}
    model = Sequential([hubel.Conv1D(8, 5, activation="relu", padding="same", **first), nn.LazyBatchNorm1d(),
                        nets.MaxPooling1D(2), nets.Residual(12, strides=2), nets.GlobalMaxPooling(), hubel.Dropout(0.1),
                        hubel.Dense(2, activation="softmax")], seed=1)
    model.compile("adam", learning_rate=0.01)
    model.fit(x[:150], y[:150], epochs=5, batch_size=25, verbose=0)
    assert model.evaluate(x[150:], y[150:], return_dict=True)["accuracy"] > 0.9
    assert model.sample_shape == (2, 30)


def test_shapes_that_do_not_fit_one_dimension():
    with pytest.raises(InputError, match=r"\(T, C\)"):
        Sequential([hubel.Conv1D(8, 5, input_shape=(30, 30, 3))])
    with pytest.raises(InputError, match="D, H, W"):
        Sequential([hubel.Conv3D(8, 5, input_shape=(30, 3))])
    with pytest.raises(InputError, match="mean"):
        Signals(2, mean=(0.0, 1.0, 2.0))
    with pytest.raises(InputError, match="window"):
        Sound(8000, 100)
    with pytest.raises(InputError, match="level"):
        Sound(8000, 8000, level="loud")
