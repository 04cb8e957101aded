"""Answers are those of the verbs themselves, whatever batch a request came to lie in."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
import torch
from asking import ask, encoded, form_of, one, run
from PIL import Image

from hubel import Model, attack, engine, look, nets
from hubel.model import Sound
from hubel.serve import application
from hubel.serve.body import files_in
from hubel.serve.refusal import Refusal


def test_predict_is_the_models_answer(app: Any, model: Model, pictures: np.ndarray) -> None:
    p = model.predict(pictures)
    for got, row in zip(run(app, *(lambda a, x=x: ask(a, "/predict?top=2", encoded(x)) for x in pictures)), p, strict=True):
        assert got.status == 200 and got.headers["content-type"] == "application/json"
        (result,) = got.facts["results"]
        numbers = [t["number"] for t in result["top"]]
        assert numbers[0] == row.argmax()
        assert [t["class"] for t in result["top"]] == [model.classes[k] for k in numbers]
        np.testing.assert_allclose([t["probability"] for t in result["top"]], np.sort(row)[::-1][:2], atol=2e-5)
        assert (result["class"], result["probability"]) == (result["top"][0]["class"], result["top"][0]["probability"])
        assert got.facts["model"] == model.hash


def test_low_precision_is_close(model: Model, pictures: np.ndarray) -> None:
    body, kind = form_of(*map(encoded, pictures))
    got = one(application(model, precision="auto"), "/predict?top=4", body, kind)
    found = np.array([[t["probability"] for t in sorted(r["top"], key=lambda t: t["number"])] for r in got.facts["results"]])
    np.testing.assert_allclose(found, model.predict(pictures), atol=0.05)


def test_mixed_requests_in_one_batch_get_their_own_answers(app: Any, model: Model, pictures: np.ndarray) -> None:
    features, p = model.features(pictures), model.predict(pictures)
    bad = encoded(pictures[0])[:60]
    work = []
    for i in range(0, 30, 3):
        body, kind = form_of(encoded(pictures[i]), encoded(pictures[i + 1]))
        work += [lambda a, b=body, k=kind: ask(a, "/predict", b, k), lambda a, i=i: ask(a, "/embed", encoded(pictures[i + 2])),
                 lambda a: ask(a, "/predict", bad)]
    got = run(app, *work)
    for n, i in enumerate(range(0, 30, 3)):
        two, embedded, refused = got[3 * n : 3 * n + 3]
        assert [r["number"] for r in two.facts["results"]] == p[i : i + 2].argmax(1).tolist()
        np.testing.assert_allclose([r["probability"] for r in two.facts["results"]], p[i : i + 2].max(1), atol=2e-5)
        row = np.array(embedded.facts["results"][0]["features"])
        assert np.linalg.norm(row - features[i + 2]) < 0.02 * np.linalg.norm(features[i + 2])
        assert refused.status == 422


def test_features_are_not_those_of_predictions_computed_meanwhile(app: Any, model: Model, pictures: np.ndarray) -> None:
    expected = model.features(pictures)
    work = []
    for _ in range(8):
        for i in range(0, 40, 2):
            work += [lambda a, i=i: ask(a, "/embed", encoded(pictures[i])), lambda a, i=i: ask(a, "/predict", encoded(pictures[i + 1]))]
    for n, got in enumerate(run(app, *work)[::2]):
        row = np.array(got.facts["results"][0]["features"])
        np.testing.assert_allclose(row, expected[2 * n % 40], rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_arrays_of_any_number(app: Any, model: Model, pictures: np.ndarray) -> None:
    for array in (pictures, pictures[..., 0], np.asfortranarray(pictures), pictures.astype(np.float32) / 255, pictures[0]):
        file = io.BytesIO()
        np.save(file, array)
        got = one(app, "/predict", file.getvalue(), "application/x-npy")
        expected = model.predict(array if array.ndim > 3 or array.shape[-1] == 12 else array[None])
        assert [r["number"] for r in got.facts["results"]] == expected.argmax(1).tolist()


def test_a_model_of_any_size_takes_images_of_several(pictures: np.ndarray) -> None:
    model = Model(nets.default(4, 1, (12, 12), seed=1), channels=1)
    files = [encoded(pictures[0]), encoded(pictures[1, :9, :10]), encoded(pictures[2])]
    body, kind = form_of(*files)
    results = one(application(model), "/predict", body, kind).facts["results"]
    for result, x in zip(results, (pictures[0], pictures[1, :9, :10], pictures[2]), strict=True):
        assert result["probability"] == pytest.approx(float(model.predict(x).max()), abs=1e-4)


def test_sound_by_file_and_by_array() -> None:
    import scipy.io.wavfile

    model = Model(nets.build("waveform", 3, 1, seed=0), preprocess=Sound(8000, 4000, bands=0))
    samples = (np.sin(np.arange(4000) / 5) * 20000).astype(np.int16)
    file = io.BytesIO()
    scipy.io.wavfile.write(file, 8000, samples)
    app = application(model, precision="fp32")
    assert sorted(app.verbs) == ["/embed", "/predict"]
    got = one(app, "/predict?top=3", file.getvalue(), "audio/wav")
    expected = model.predict(samples.astype(np.float32) / 32768)[0]
    assert [t["probability"] for t in got.facts["results"][0]["top"]] == pytest.approx(sorted(expected, reverse=True), abs=1e-5)


def test_explain_is_look_s(app: Any, model: Model, pictures: np.ndarray) -> None:
    got = one(app, "/explain?method=gradient&class=dee", encoded(pictures[3]))
    expected = look.gradient(model, pictures[3], 3)
    assert got.facts["class"] == "d, dee" and got.facts["size"] == [12, 12]
    np.testing.assert_allclose(got.facts["heat"], expected.heat()[0], rtol=1e-3, atol=1e-6)
    figure = one(app, "/explain?answer=figure", encoded(pictures[3]))
    assert figure.headers["content-type"] == "image/png" and Image.open(io.BytesIO(figure.body)).width > 400


def test_attack_s_image_is_what_it_says(app: Any, model: Model, pictures: np.ndarray) -> None:
    body = encoded(pictures[5])
    got = one(app, "/attack?eps=64/255&steps=20", body).facts
    adversarial = np.asarray(Image.open(io.BytesIO(base64.b64decode(got["image"]))))
    change = np.abs(adversarial.astype(int) - pictures[5, ..., 0]).max()
    assert got["success"] and got["distance"] == pytest.approx(change / 255) and change <= 64
    assert got["before"]["number"] == model.predict(pictures[5]).argmax() != got["after"]["number"]
    assert got["after"]["number"] == model.predict(adversarial).argmax()
    assert got["tried"] == [pytest.approx(64 / 255)]
    again = attack.demonstrate(model, pictures[5], None, "64/255", steps=20)
    assert again.result.predicted_after[0] == got["after"]["number"]
    plain = one(app, "/attack?eps=64/255&steps=20&answer=png", body)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(plain.body))), adversarial)


def test_explanations_during_predictions_see_their_own_image(model: Model, pictures: np.ndarray) -> None:
    """Hooks read the layers: inputs that the batches send through the network meanwhile must not be caught."""
    async def many(a: Any) -> None:
        for _ in range(30):
            assert (await ask(a, "/predict", encoded(pictures[1]))).status == 200

    async def explained(a: Any) -> list[np.ndarray]:
        return [np.array((await ask(a, "/explain", encoded(pictures[7]))).facts["heat"]) for _ in range(8)]

    with engine.using(bf16=False):
        expected = look.gradcam(model, pictures[7]).heat()[0].numpy()
        _, *_, heats = run(application(model), many, many, many, explained)
    for heat in heats:
        np.testing.assert_allclose(heat, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("boundary", ["x", "----WebKitFormBoundaryabc", "--a b"])
def test_forms_are_taken_apart_at_their_boundary(boundary: str) -> None:
    files = [b"\r\n--x\r\n", b"", b"\x00" * 10 + b"\r\n", b"x--" + boundary.encode()]
    body, kind = form_of(*[f.replace(b"--x", b"--y") for f in files], boundary=boundary)
    assert files_in(kind, b"preamble\r\n" + body) == [f.replace(b"--x", b"--y") for f in files]
    for broken in (body[:-30], body.replace(b"filename", b"nothing"), b"--" + boundary.encode() + b"--\r\n"):
        with pytest.raises(Refusal) as refused:
            files_in(kind, broken)
        assert refused.value.status == 400


def test_weights_and_model_are_left_as_they_were(model: Model, pictures: np.ndarray) -> None:
    before, training = model.hash, model.network.training
    torch.manual_seed(3)
    one(application(model), "/explain?method=smoothgrad", encoded(pictures[0]))
    assert model.hash == before and model.network.training == training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.network.modules())
