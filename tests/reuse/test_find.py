"""Finding, searching, explaining neighbours, measuring attributes, mapping a folder: against closed forms and brute force."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from test_embed_files import pooled

from hubel.cli import run
from hubel.errors import DataError, InputError
from hubel.reuse import Features, attributes, chart, explain_neighbour, find
from hubel.reuse.atlas import spread
from hubel.reuse.find import overlap
from hubel.reuse.learners import unit
from hubel.reuse.neighbours import contributions


def ground(height: int, width: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(60, 200, (height // 12, width // 12, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def target(side: int) -> np.ndarray:
    image = np.full((side, side, 3), 235, np.uint8)
    cv2.circle(image, (side // 2, side // 2), side * 2 // 5, (200, 20, 30), -1, cv2.LINE_AA)
    cv2.rectangle(image, (side // 4, side * 4 // 9), (side * 3 // 4, side * 5 // 9), (250, 250, 250), -1)
    return image


@pytest.mark.parametrize(("side", "left", "top"), [(90, 30, 40), (150, 180, 90)])
def test_find_locates_a_pasted_object_at_two_sizes(side: int, left: int, top: int) -> None:
    photo = ground(300, 400)
    photo[top : top + side, left : left + side] = target(side)
    found = find(target(200), photo)[0]
    assert overlap(found.best.box, (left, top, side, side)) > 0.5
    assert found.best.score > 0.4
    absent = find(target(200), ground(300, 400, 1))[0]
    assert absent.best.score < found.best.score - 0.15
    assert json.dumps(found.to_dict()) and "<img" in found._repr_html_()


def test_find_takes_a_crop_of_the_example() -> None:
    example, photo = ground(240, 320, 3), ground(300, 400)
    example[60:180, 100:220] = target(120)
    photo[100:220, 200:320] = target(120)
    found = find(example, photo, (100, 60, 120, 120))[0]
    assert overlap(found.best.box, (200, 100, 120, 120)) > 0.5
    with pytest.raises(InputError, match="leaves the example"):
        find(example, photo, (300, 60, 120, 120))


def test_overlap_closed_forms() -> None:
    assert overlap((0, 0, 2, 2), (1, 1, 2, 2)) == pytest.approx(1 / 7)
    assert overlap((0, 0, 2, 2), (2, 0, 2, 2)) == 0 and overlap((1, 1, 3, 4), (1, 1, 3, 4)) == 1


def test_index_finds_what_brute_force_finds(tmp_path: Path) -> None:
    pytest.importorskip("usearch")
    from hubel.reuse import build_index, open_index

    x = np.random.default_rng(0).normal(size=(600, 24)).astype(np.float32)
    files = tuple(f"a/ü{i}.jpg" for i in range(600))
    build_index(Features(x, files, ("a",) * 600), tmp_path / "i")
    index = open_index(tmp_path / "i")
    asked = x[:20] + 0.1
    first = 0
    for row, line in zip(asked, index.search(asked, 5), strict=True):
        cosine = unit(row[None]) @ unit(x).T
        order = np.argsort(-cosine[0])[:5]
        assert len({a.file for a in line} & {files[i] for i in order}) >= 4
        first += line[0].file == files[order[0]] and line[0].similarity == pytest.approx(cosine.max(), abs=2e-3)
    assert first >= 18  # the index is approximate, and built by several threads
    assert len(index) == 600 and index.recall(asked, x) > 0.95
    with pytest.raises(InputError, match="index of 24"):
        index.search(np.ones((1, 5), np.float32))
    with pytest.raises(DataError, match="no index"):
        open_index(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="is no index"):
        build_index(Features(x, files, ("a",) * 600), tmp_path / "mine")


def test_an_index_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("usearch")
    from hubel.reuse import build_index, similar

    x = np.random.default_rng(0).normal(size=(1000, 24)).astype(np.float32)
    features = Features(x, tuple(f"{i}.jpg" for i in range(1000)), ("",) * 1000)
    added: list[int] = []
    monkeypatch.setattr(similar, "_CHUNK", 100)
    monkeypatch.setattr(similar, "_KEEP", 0)

    def killed_after(rows: int) -> None:
        added.clear()

        def counted(chunk: np.ndarray) -> np.ndarray:
            if len(added) * 100 == rows:
                raise KeyboardInterrupt
            added.append(len(chunk))
            return unit(chunk)

        monkeypatch.setattr(similar, "unit", counted)

    monkeypatch.setattr(similar.time, "monotonic", iter(range(0, 10**6, 100)).__next__)  # a slow clock: the first chunk is kept
    killed_after(400)
    with pytest.raises(KeyboardInterrupt):
        build_index(features, tmp_path / "i")
    assert (tmp_path / ".i.part").exists() and not (tmp_path / "i").exists()
    killed_after(10**9)
    index = build_index(features, tmp_path / "i")
    assert sum(added) < 1000 and len(index) == 1000 and index.recall(x[:100], x) > 0.95
    assert [p.name for p in tmp_path.iterdir()] == ["i"]

    killed_after(400)
    with pytest.raises(KeyboardInterrupt):
        build_index(features, tmp_path / "j")
    killed_after(10**9)
    other = Features(x[::-1].copy(), features.files, features.labels)  # what is kept is of other rows
    index = build_index(other, tmp_path / "j")
    assert sum(added) == 1000 and index.search(other.features[:1], 1)[0][0].file == "0.jpg"


def test_what_places_add_is_the_cosine() -> None:
    a, b = torch.rand(7, 4, 5), torch.rand(7, 3, 3)
    cosine = torch.nn.functional.cosine_similarity(a.mean((1, 2)), b.mean((1, 2)), dim=0)
    assert contributions(a, b).shape == (4, 5) and contributions(a, b).sum() == pytest.approx(float(cosine), abs=1e-5)
    assert contributions(b, a).sum() == pytest.approx(float(cosine), abs=1e-5)


def test_the_nearest_example_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBEL_CACHE", str(tmp_path))
    model = pooled()
    examples = [ground(24, 24, seed) for seed in range(6)]
    image = np.clip(examples[4].astype(int) + 4, 0, 255).astype(np.uint8)
    why = explain_neighbour(model, image, examples, list("abcdef"))
    features = unit(model.features(np.stack([image, *examples])))
    cosines = features[1:] @ features[0]
    assert why.index == int(cosines.argmax()) and why.label == "abcdef"[why.index]
    assert why.similarity == pytest.approx(float(cosines.max()), abs=1e-3)
    assert json.dumps(why.to_dict()) and "<img" in why._repr_html_()


@pytest.mark.parametrize("radius", [30, 60])
def test_attributes_of_a_red_disc(radius: int) -> None:
    image = np.full((200, 300, 3), 240, np.uint8)
    cv2.circle(image, (140, 100), radius, (210, 20, 20), -1, cv2.LINE_AA)
    seen = attributes(image)
    assert seen.sure and seen.colour == "red" and seen.colour_share > 0.9
    assert seen.roundness > 0.93 and seen.texture < 0.02
    assert seen.size == pytest.approx(np.pi * radius**2 / 60000, rel=0.12)


def test_attributes_of_a_striped_bar_and_of_noise() -> None:
    image = np.full((200, 300, 3), 20, np.uint8)
    image[80:120, 30:270] = np.where(np.arange(240) // 8 % 2, 60, 220)[None, :, None] * np.array([0, 1, 0], np.uint8)
    seen = attributes(image)
    assert seen.colour == "green" and seen.roundness < 0.6 and seen.texture > 0.02
    assert seen.size == pytest.approx(0.16, rel=0.2)
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    assert not attributes(noise).sure and "unsure" in str(attributes(noise))


def test_square_is_less_round_than_disc() -> None:
    image = np.full((200, 200, 3), 240, np.uint8)
    image[50:150, 50:150] = (20, 40, 200)
    seen = attributes(image)
    assert seen.colour == "blue" and 0.7 < seen.roundness < 0.9


def test_chart_recovers_blobs_and_the_odd_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 16))
    y = np.repeat([0, 1, 2], [30, 20, 10])
    x = np.concatenate([centres[y] + 0.15 * rng.normal(size=(60, 16)), rng.normal(size=(1, 16)) * 3])
    files = [str(tmp_path / f"{i}.png") for i in range(61)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(file)
    found = chart(x, files, 4)
    for c in range(3):
        assert len(set(found.cluster[:60][y == c])) == 1
    assert found.outliers[0] == 60 and found.strangeness[60] > 3
    assert np.bincount(found.cluster).tolist() == sorted(np.bincount(found.cluster).tolist(), reverse=True)
    assert found.places.min() >= 0 and found.places.max() <= 1
    near = np.linalg.norm(found.places[:60, None] - found.places[None, :60], axis=2) + 9 * np.eye(60)
    assert (y[near.argmin(1)] == y).mean() > 0.95
    page = found.write_html(tmp_path / "map.html").read_text()
    assert page.count("data:image/jpeg") == 61 and "http://" not in page and "https://" not in page
    assert "<img" in found._repr_html_() and found.plot_clusters() is not None
    with pytest.raises(InputError, match="five images"):
        chart(x[:3], files[:3])


def test_spread_keeps_the_gap() -> None:
    places = np.random.default_rng(0).random((200, 2))
    kept = spread(places, 0.1, 50)
    gaps = np.abs(places[kept][:, None] - places[kept]).max(2) + np.eye(len(kept))
    assert gaps.min() >= 0.1 and len(kept) > 20


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("usearch")
    monkeypatch.setenv("HUBEL_CACHE", str(tmp_path / "cache"))
    pooled().save(tmp_path / "m.hubel")
    model, photos = ["--model", str(tmp_path / "m.hubel")], tmp_path / "photos"
    for i in range(12):
        (photos / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        stripes = np.where(np.arange(48) // 4 % 2, 1.0, 0.2 if i % 2 else 1.0)[None, :, None]
        Image.fromarray((ground(48, 48, i) * stripes).astype(np.uint8)).save(photos / "ab"[i % 2] / f"{i}.png")
    first = str(photos / "a" / "0.png")
    assert run(["find", first, str(photos), "--index", str(tmp_path / "i"), "--json", *model]) == 0
    assert json.loads(capsys.readouterr().out)[0]["file"] == first
    assert run(["atlas", str(photos), "-o", str(tmp_path / "atlas"), "--clusters", "2", *model]) == 0
    assert {p.name for p in (tmp_path / "atlas").iterdir()} == {"map.html", "map.png", "clusters.png", "atlas.json"}
    capsys.readouterr()
    assert run(["fewshot", str(photos), "--shots", "2", "-o", str(tmp_path / "f.hubel"), "--json", *model]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.7
    assert run(["predict", first, "--model", str(tmp_path / "f.hubel"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["class"] == "a"
    assert run(["find", first, "--box", "1,2", str(photos)]) == 2


