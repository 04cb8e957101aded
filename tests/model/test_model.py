"""Model: inputs of every kind, outputs of every kind, files that can be trusted."""

import json
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_moons
from torch import nn

import hubel
from hubel import Dense, Model, Sequential
from hubel.errors import HubelError, InputError, ModelError
from hubel.nets import build


def small(**options):
    return Model(build("small_resnet", 3, 3, seed=0), ["a", "b", "c"], size=16, mean=0.5, std=0.25, **options)


def test_numpy_is_channels_last_and_torch_channels_first():
    model = small()
    x = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    t = torch.from_numpy(x).permute(0, 3, 1, 2)
    expected = model.predict(x)
    for same in (t, t.float() / 255, x.astype(np.float64) / 255, list(x), [torch.as_tensor(i) for i in t]):
        np.testing.assert_allclose(model.predict(same), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(x[0]), expected[:1], atol=1e-5)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)


def test_normalisation_lives_inside():
    network = nn.Sequential(nn.Flatten(), nn.Identity())
    model = Model(network, size=(1, 2), channels=3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0), output="values")
    x = np.array([[[[0.1, 0.2, 0.3], [0.6, 0.7, 1.0]]]])
    np.testing.assert_allclose(model.predict(x), [[0, 1, 0, 2, 0, 0.7]], atol=1e-6)


def test_any_size_grey_and_lists_of_different_sizes():
    model = small()
    images = [np.zeros((9, 30), np.uint8), np.full((50, 20, 3), 255, np.uint8), np.ones((16, 16, 4)) * 0.5]
    together = model.predict(images)
    one_by_one = np.concatenate([model.predict(i) for i in images])
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)


@pytest.mark.parametrize(("x", "word"), [
    (np.full((2, 16, 16, 3), np.nan), "NaN"), (np.full((2, 16, 16, 3), 7.0), "0..1"),
    (np.zeros((2, 16, 16, 3), int), "uint8"),
    (np.zeros((1, 2, 16, 16, 3)), "dimensions"), (np.zeros((2, 16, 16, 5)), "channels"), (np.zeros((0, 16, 3)), "no pixels"),
    ("photo.jpg", "numbers"),
])  # fmt: skip
def test_bad_inputs_get_one_line(x, word):
    with pytest.raises(InputError, match=word) as caught:
        small().predict(x)
    assert "\n" not in str(caught.value)


class Odd(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.net, self.kind = build("small_resnet", 3, 3, seed=0), kind

    def forward(self, x):
        y = self.net(x)
        return {"dict": {"aux": x, "logits": y}, "tuple": (y, x), "out": {"out": y}, "nothing": {"a": 1}}[self.kind]


@pytest.mark.parametrize("kind", ["dict", "tuple", "out"])
def test_tuple_and_dict_outputs(kind):
    x = np.random.default_rng(0).random((2, 16, 16, 3))
    plain = Model(build("small_resnet", 3, 3, seed=0), size=16)
    model = Model(Odd(kind), size=16)
    np.testing.assert_allclose(model.predict(x), plain.predict(x), atol=1e-5)
    np.testing.assert_allclose(model.features(x), plain.features(x), atol=1e-5)


def test_a_network_without_logits_is_refused():
    with pytest.raises(ModelError, match="logits"):
        Model(Odd("nothing"), size=16).predict(np.zeros((1, 16, 16, 3)))


def test_features_are_what_the_last_layer_sees():
    model = small()
    x = np.random.default_rng(0).random((5, 16, 16, 3)).astype(np.float32)
    features = torch.from_numpy(model.features(x, batch_size=2))
    with torch.no_grad():
        logits = model.layer("classifier")(features)
    np.testing.assert_allclose(logits.numpy(), model.logits(x), atol=1e-4)


def test_the_fast_path_follows_the_weights():
    model = small()
    x = torch.rand(3, 3, 16, 16)
    before = model.fast(x, "fp32")(x)
    model.network.classifier.weight.data.mul_(2)  # hidden from the version counter
    model.network.classifier.bias.data.zero_()
    with torch.no_grad():
        torch.testing.assert_close(model.fast(x, "fp32")(x), model.forward(x), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(before, model.fast(x, "fp32")(x))


def test_forward_is_differentiable_and_leaves_the_mode_alone():
    model = small()
    model.network.train()
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None and model.network.training


def test_summary_counts_weight_sharing_as_the_lecture_does():
    n = 4
    model = Sequential([hubel.Conv2D(n, 5, input_shape=(28, 28, 1), use_bias=False), nn.Flatten(), Dense(10)])
    row = model.summary(print_fn=None).rows[0]
    assert row.weights == 25 * n and row.dense_weights == 451_584 * n and row.shape == (n, 24, 24)
    assert row.multiply_adds == 25 * n * 24 * 24
    assert model.summary(None).parameters == sum(p.numel() for p in model.network.parameters())


def test_layer_names_are_suggested():
    with pytest.raises(InputError, match="classifier"):
        small().layer("clasifier")


def test_save_and_load(tmp_path):
    model = small()
    path = model.save(tmp_path / "m.hubel", accuracy=0.5)
    again = Model.load(path)
    x = np.random.default_rng(0).random((2, 20, 16, 3))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.hash == model.hash and again.classes == ("a", "b", "c") and again.notes == {"accuracy": 0.5}
    assert [p.name for p in tmp_path.iterdir()] == ["m.hubel"]


def test_sequential_of_mixed_layers_survives_saving(tmp_path):
    model = Sequential([
        hubel.Conv2D(6, 3, activation="relu", padding="same", input_shape=(12, 10, 3)), nn.BatchNorm2d(6), nn.MaxPool2d(2),
        hubel.BatchNormalization(), hubel.Dropout(0.2), nn.LazyConv2d(4, 3), nn.GELU(), hubel.Flatten(),
        hubel.Dense(5, activation="softmax"),
    ], seed=3)  # fmt: skip
    model.summary(None)
    x = np.random.default_rng(0).random((2, 12, 10, 3))
    again = Model.load(model.save(tmp_path / "s.hubel"))
    np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-6)


def test_a_strangers_class_needs_its_network(tmp_path):
    path = Model(Odd("tuple"), size=16).save(tmp_path / "odd.hubel")
    with pytest.raises(ModelError, match="network="):
        Model.load(path)
    x = np.zeros((1, 16, 16, 3))
    again = Model.load(path, network=Odd("tuple"))
    np.testing.assert_allclose(again.predict(x), Model(Odd("tuple"), size=16).predict(x), atol=1e-6)
    with pytest.raises(ModelError, match="do not fit"):
        Model.load(path, network=nn.Linear(2, 2))


def test_files_of_strangers(tmp_path):
    good = small().save(tmp_path / "good.hubel").read_bytes()
    cases = {"empty": b"", "text": b"hello", "cut": good[: len(good) // 2], "zeros": bytes(4096)}
    cases["pickle"] = pickle.dumps({"a": 1})
    for name, content in cases.items():
        path = tmp_path / f"{name}.bin"
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            Model.load(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    torch.save(nn.Linear(2, 2), tmp_path / "net.pt")
    with pytest.raises(ModelError, match="pickle"):
        Model.load(tmp_path / "net.pt")
    with pytest.raises(ModelError, match="does not exist"):
        Model.load(tmp_path / "none.hubel")
    with pytest.raises(ModelError, match="directory"):
        Model.load(tmp_path)


def test_altered_weights_and_descriptions_are_noticed(tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = small().save(tmp_path / "m.hubel")
    with safe_open(path, "pt") as f:
        tensors, meta = {k: f.get_tensor(k) for k in f.keys()}, f.metadata()  # noqa: SIM118
    save_file({**tensors, "classifier.weight": tensors["classifier.weight"] * 1.5}, path, metadata=meta)
    with pytest.raises(ModelError, match="does not compute"):
        Model.load(path)
    about = json.loads(meta["hubel"])
    evil = ({"layer": "os.system", "config": {}}, {"build": {"name": "evil", "classes": 3}}, 7, {"sequential": 3})
    for architecture in evil:
        save_file(tensors, path, metadata={"hubel": json.dumps({**about, "architecture": architecture})})
        with pytest.raises(HubelError) as caught:
            Model.load(path)
        assert "\n" not in str(caught.value)


def test_the_lectures_lines_work_as_written():
    X, y = make_moons(1200, noise=0.1, random_state=0)
    Xtr, ytr, Xts, yts = X[:1000], y[:1000], X[1000:], y[1000:]
    nin, nh, nout = 2, 16, 2
    model = Sequential(seed=0)
    model.add(Dense(units=nh, input_shape=(nin,), activation="sigmoid", name="hidden"))
    model.add(Dense(units=nout, activation="softmax", name="output"))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"], learning_rate=0.03)
    hist = model.fit(Xtr, ytr, epochs=30, batch_size=100, validation_data=(Xts, yts))
    assert set(hist.history) >= {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert len(hist.history["loss"]) == 30 and hist.history["val_accuracy"][-1] > 0.8
    loss, accuracy = model.evaluate(Xts, yts)
    assert accuracy == pytest.approx((model.predict(Xts).argmax(1) == yts).mean())
    probability = model.predict(Xts)[np.arange(len(yts)), yts]
    assert loss == pytest.approx(-np.log(probability).mean(), rel=1e-4)


def test_fit_on_images_learns_and_names_classes():
    digits = load_digits()
    x, y = (digits.images * (255 / 16)).astype(np.uint8), digits.target
    model = Sequential([
        hubel.Conv2D(16, 3, activation="relu", input_shape=(8, 8)), hubel.Flatten(), Dense(10, activation="softmax"),
    ], mean=0.3, std=0.35, seed=0)  # fmt: skip
    model.compile("adam", metrics=["accuracy"], learning_rate=3e-3)
    history = model.fit(x[:1400], y[:1400], 64, 6, verbose=0, validation_split=0.1, seed=0)
    assert len(history.history["val_loss"]) == 6
    assert model.evaluate(x[1400:], y[1400:], return_dict=True)["accuracy"] > 0.85
    named = Model(build("small_resnet", 2, 1, seed=0), size=8)
    named.fit(x[:50], np.where(y[:50] > 4, "large", "small"), verbose=0)
    assert named.classes == ("large", "small")


@pytest.mark.parametrize(("x", "y", "word"), [
    (np.zeros((4, 8, 8), np.uint8), np.zeros(3, int), "targets"), (np.zeros((4, 8, 8), np.uint8), None, "targets"),
    (np.zeros((4, 8, 8), np.uint8), np.full(4, 9), "class number"),
    (np.zeros((0, 8, 8), np.uint8), np.zeros(0, int), "no samples"),
])  # fmt: skip
def test_bad_training_data_gets_one_line(x, y, word):
    with pytest.raises(InputError, match=word):
        Model(build("small_resnet", 3, 1, seed=0), ["a", "b", "c"], size=8).fit(x, y, verbose=0)


def test_regression_and_multi_label_outputs():
    x = np.random.default_rng(0).normal(size=(400, 3))
    model = Sequential([Dense(1, input_shape=(3,))], seed=0)
    model.compile("adam", loss="mse", metrics=[], learning_rate=0.05)
    model.fit(x, x @ [1.0, -2.0, 0.5], epochs=40, verbose=0)
    np.testing.assert_allclose(model.predict(x)[:, 0], x @ [1.0, -2.0, 0.5], atol=0.1)
