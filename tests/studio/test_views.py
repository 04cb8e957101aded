"""Each view calls the verb its Python names: what the code gives is what the page shows. On a small digits model."""

from __future__ import annotations

import base64
import re
import shlex
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hubel.cli import run
from hubel.errors import InputError
from hubel.progress import heard_by
from hubel.studio import breaking, claims, coding, looking, reusing, teaching
from hubel.studio.pictures import as_png
from hubel.studio.sessions import Session
from hubel.studio.stock import Stock


def executed(python: str) -> dict:
    space: dict = {}
    exec(python, space)
    return space


def sources(page: str) -> list[bytes]:
    return [base64.b64decode(found) for found in re.findall(r'src="data:image/png;base64,([^"]+)"', page)]


def test_break_shows_what_its_python_and_command_line_find(stock, trained, tmp_path, monkeypatch):
    model = stock.model(Session(), trained)
    s = breaking.Break(model=trained, picture="digits:3", eps=16)
    picture = stock.picture(s.picture)
    broken = breaking.attempt(model, picture, s, "16/255")
    how = breaking.again(stock, picture, s)
    monkeypatch.chdir(tmp_path)
    found = executed(how.python)["found"]
    assert np.array_equal(found.image, broken.found.image)
    assert np.abs(broken.control.noisy.astype(int) - picture.pixels).max() == 16  # the control is as large as the change may be
    page = breaking.page(broken, picture)
    assert as_png(broken.found.result.adversarials[0]) in sources(page)
    Image.fromarray(picture.pixels[..., 0]).save(tmp_path / picture.file)
    assert run(shlex.split(how.command)[1:]) == 0
    if broken.found.success:
        assert np.array_equal(np.asarray(Image.open(tmp_path / "digits-3-adversarial.png")), broken.found.image[..., 0])


def test_break_finds_the_least_size_and_aims(stock, trained):
    model = stock.model(Session(), trained)
    picture = stock.picture("digits:3")
    least = breaking.attempt(model, picture, breaking.Break(model=trained), None)
    assert least.found.success or least.found.tried[-1] == 32 / 255
    smaller = list(least.found.tried[:-1])
    assert smaller == sorted(smaller) and all(t < least.found.tried[-1] for t in smaller)
    label = model.classes[int(least.found.result.labels[0])]
    aim = "8" if label != "8" else "1"
    aimed = breaking.attempt(model, picture, breaking.Break(model=trained, target=aim), "64/255")
    assert not aimed.found.success or model.classes[int(aimed.found.result.predicted_after[0])] == aim
    with pytest.raises(InputError, match="no class 'dog'"):
        breaking.attempt(model, picture, breaking.Break(target="dog"), "8/255")


def test_look_shows_what_its_python_says(stock, trained):
    from hubel import look as room

    model = stock.model(Session(), trained)
    listed = room.layers(model)
    s = looking.Look(model=trained, picture="digits:0", layer=looking.first_layer(model, listed), unit=2, data="digits")
    data, name = looking.data_for(stock, model, s)
    assert name == "digits"
    picture = stock.picture(s.picture)
    figures = looking.unit_of(model, listed, data, name, picture, s)
    assert len(figures) == 3
    code = looking.again(stock, picture, s).python
    space = executed(code.replace(".plot()", "").replace("look.exciting", "best = look.exciting"))
    assert f"activation {float(space['best'].activations[0][0]):.3g}" in figures[1]
    x = model.normalise(model.prepare(picture.pixels))
    active = room.activations(model.network, x, [s.layer])[s.layer][0, 2]
    assert f"at most {float(active.max()):.3g}" in figures[2]
    assert "Why" in looking.why(model, picture, s)
    assert "Made to excite it" in looking.made(model, s)


def test_training_stops_is_kept_and_goes_on_to_the_same_model(tmp_path):
    s = teaching.Train(epochs=3, network="vgg", without="augmentation,weight_decay")
    whole = teaching.teach(Stock(work=tmp_path / "whole"), s, teaching.Run())[0].model.hash
    stock, first = Stock(work=tmp_path / "parts"), teaching.Run()

    def stop_soon():
        while len(first.batches) < 30:
            time.sleep(0.001)
        first.stop.set()

    watch = threading.Thread(target=stop_soon)
    watch.start()
    taught, found = teaching.teach(stock, s, first)
    watch.join()
    assert taught.interrupted and found is None
    assert (tmp_path / "parts" / f"{teaching.name_of(stock, s)}.training").exists()
    second = teaching.Run()
    taught, found = teaching.teach(stock, s, second)
    assert taught.model.hash == whole and found["n"] > 300
    assert len(second.epochs) == 3  # the curves begin where the whole run began
    assert teaching.name_of(stock, s) in stock.models
    assert "polyline" in teaching.picture(second)


def test_training_tells_how_far_it_is(tmp_path):
    heard: list[float] = []
    with heard_by(lambda what, done, total: heard.append(done / total)):
        teaching.teach(Stock(work=tmp_path), teaching.Train(epochs=1), teaching.Run())
    assert heard == sorted(heard) and heard[-1] == pytest.approx(1.0)


def test_train_code_and_command(stock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    s = teaching.Train(epochs=1, seed=3, without="label_smoothing")
    how = teaching.again(stock, s)
    assert run(shlex.split(how.command)[1:] + ["-q"]) == 0
    by_command = tmp_path / teaching.name_of(stock, s)
    from hubel import Model

    first = Model.load(by_command).hash
    by_command.unlink()
    assert executed(how.python)["taught"].model.hash == first == Model.load(by_command).hash
    with pytest.raises(InputError, match="no trick"):
        replace(s, without="magic").left_out()


def test_reuse_classifies_as_its_python_does(stock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    s = reusing.Reuse(classes="one=digits:0,digits:1;two=digits:2", photos="digits:3,digits:4", model="efficientnet_lite0")
    monkeypatch.setattr(reusing, "there", lambda stock, keys: [k for k in keys if k])
    rows = reusing.classified(stock, stock.model(Session(), "efficientnet_lite0"), s)
    assert [k for k, _ in rows] == ["digits:3", "digits:4"]
    assert all(sum(p for _, p in row) == pytest.approx(1, abs=1e-4) for _, row in rows)
    space = executed(reusing.again(stock, s).python.replace("learned.predict_proba", "answer = learned.predict_proba"))
    shown = [dict(row)["one"] for _, row in rows]
    assert np.allclose(space["answer"][:, list(space["learned"].classes_).index("one")], shown, atol=1e-5)


def test_reuse_asks_for_what_it_needs(stock):
    with pytest.raises(InputError, match="two classes"):
        reusing.classified(stock, None, reusing.Reuse(classes="a=;b="))
    first = stock.pictures.first
    with pytest.raises(InputError, match="two classes are called 'a'"):
        reusing.classified(stock, None, reusing.Reuse(classes=f"a={first};a={first}"))
    assert reusing.groups_of(reusing.text_of([("a", ["x", "y"]), ("b", [])])) == [("a", ["x", "y"]), ("b", [])]


def test_a_painted_box_is_the_rectangle_around_it():
    from hubel.studio.pictures import uri

    painted = np.zeros((100, 200, 1), np.uint8)
    painted[20:40, 50:120] = 255
    assert reusing.box_around(uri(painted), (200, 400, 3)) == "100,40,140,40"
    assert reusing.box_around(uri(painted * 0), (200, 400, 3)) == ""


def test_the_jpeg_beside_is_the_best_of_that_size(stock):
    import cv2

    image = stock.picture("").pixels
    data, quality = coding.jpeg_within(image, 12_000)
    assert len(data) <= 12_000
    better = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality + 1, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1]
    assert len(better) > 12_000
    assert coding.jpeg_within(image, 10)[1] == 1


@pytest.mark.parametrize("mode", ["denoise", "walk"])
def test_encode_shows_what_its_python_gives(stock, mode, tmp_path):
    try:
        coding.ready(mode)
    except Exception as error:
        pytest.skip(str(error))
    s = coding.Encode(mode=mode, picture=stock.pictures.first, latents=4)
    page, how = coding.RUN[mode](stock, stock.picture(s.picture), s)
    space = executed(how.python.replace("walk(coder,", "answer = walk(coder,").replace(".plot()", ""))
    pictures = sources(page)
    expected = space["answer"] if mode == "denoise" else space["answer"].images[0][4]
    assert as_png(expected) in pictures


def test_claims_show_the_verdict_and_their_python(stock):
    s = claims.Claims(claim=claims_cheapest())
    from hubel import phenomena

    verdict = executed(claims.again(s).python.replace("verdict.plot()", ""))["verdict"]
    page = claims.page(phenomena.run(s.claim, s.size, s.seed))
    assert verdict.outcome in page.lower()
    for need in verdict.claim.needs:
        assert need.bound in page.replace("&lt;", "<")


def claims_cheapest() -> str:
    from hubel import phenomena

    return min(phenomena.claims(), key=lambda c: c.cost("smallest")).name


def test_names_that_are_not_in_the_stock_are_refused(stock, tmp_path):
    for ask in (stock.shared, stock.source):
        with pytest.raises(InputError, match="there is no"):
            ask("/etc/passwd")
        with pytest.raises(InputError, match="there is no"):
            ask("../" + str(tmp_path))
    with pytest.raises(InputError, match="not here any more"):
        stock.picture("/etc/passwd")
    with pytest.raises(InputError, match="no test image"):
        stock.picture("digits:99999")
