"""Features of any layer, views and poolings against hand-made ones; folders to files: order, damage, resuming, kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from hubel import nets
from hubel.cli import run
from hubel.errors import DataError, InputError, ModelError
from hubel.model import Model
from hubel.reuse import embed, embed_files, feature_model, read_features
from hubel.reuse import files as files_room
from hubel.reuse.state_dicts import from_state_dict


def pooled(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.AdaptiveAvgPool2d(1),
                            nn.Flatten(), nn.Linear(5, 4))
    return Model(network.eval(), list("abcd"), size=24, channels=3, mean=0.4, std=0.3)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUBEL_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for i in range(14):
        folder = tmp_path / "photos" / ("cats" if i % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).save(folder / f"{i:02d}.png")
    return tmp_path / "photos"


def test_features_are_those_of_the_layer_before_last() -> None:
    model = pooled()
    x = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), np.uint8)
    np.testing.assert_allclose(embed(feature_model(model), x, precision="fp32", cache=False), model.features(x), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "gem", "max"])
def test_pooling_and_mirror_by_hand(pooling: str) -> None:
    model = pooled()
    x = torch.rand(3, 3, 24, 24)
    body = feature_model(model, pooling=pooling, views="mirror")
    parts = []
    for seen in (x, x.flip(3)):
        maps = model.network[:4](model.preprocess(seen))
        if pooling == "gem":
            value = (maps.clamp_min(1e-6) ** 3).mean((2, 3)) ** (1 / 3)
        else:
            value = maps.mean((2, 3)) if pooling == "mean" else maps.amax((2, 3))
        parts.append(value / value.norm(dim=1, keepdim=True))
    expected = (parts[0] + parts[1]) / 2
    torch.testing.assert_close(body.forward(x), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(body.forward(x.flip(3)), expected, atol=1e-5, rtol=1e-4)  # a mirror image is the same thing


def test_rich_views_see_the_picture_at_two_sizes_and_cut() -> None:
    model = pooled()
    body = feature_model(model, views="rich")
    assert body.size == (41, 41)  # 24 * 9/7 / 0.75
    x = torch.rand(2, 3, 41, 41)
    y = body.preprocess(x)
    large = F.interpolate(y, (31, 31), mode="bilinear", antialias=True)
    seen = [F.interpolate(y, (24, 24), mode="bilinear", antialias=True), large,
            F.interpolate(y, (42, 42), mode="bilinear", antialias=True)[:, :, 5:36, 5:36]]
    expected = sum(F.normalize(model.network[:4](v).mean((2, 3)), dim=1) for s in seen for v in (s, s.flip(3))) / 6
    torch.testing.assert_close(body.forward(x), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("views", ["plain", "mirror"])
def test_own_classes_by_hand(views: str) -> None:
    model = pooled()
    x = torch.rand(3, 3, 24, 24)
    body = feature_model(model, views=views, own_classes=0.5)
    seen = [x] if views == "plain" else [x, x.flip(3)]
    features = sum(F.normalize(model.network[:6](model.preprocess(s)), dim=1) for s in seen)
    guesses = torch.stack([model.forward(s).softmax(1) for s in seen]).mean(0)
    expected = torch.cat([F.normalize(features, dim=1), 0.5 * guesses.sqrt()], dim=1)
    torch.testing.assert_close(body.forward(x), expected, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(body.logits(x), expected.detach(), atol=1e-4)  # by the fast copy
    with pytest.raises(InputError, match="no classifier"):
        feature_model(Model(model.network, size=24, channels=3, output="values"), own_classes=0.5)


def test_a_layer_within_and_its_errors() -> None:
    model = pooled()
    x = torch.rand(2, 3, 24, 24)
    body = feature_model(model, layer="0")
    torch.testing.assert_close(body.forward(x), model.network[0](model.preprocess(x)).mean((2, 3)), atol=1e-5, rtol=1e-4)
    with pytest.raises(InputError, match="no layer"):
        feature_model(model, layer="9")
    flat = Model(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2)), size=8, channels=3)
    with pytest.raises(InputError, match="no places to pool"):
        feature_model(flat, pooling="gem")
    with pytest.raises(InputError, match="own size only"):
        feature_model(flat, views="rich")
    assert feature_model(flat, views="mirror").forward(torch.rand(2, 3, 8, 8)).shape == (2, 192)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_folder_to_file(photos: Path, tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    (photos / "cats" / "04b.jpg").write_bytes(b"\xff\xd8 not a photo")
    (photos / "dogs" / "empty.png").touch()
    out = tmp_path / f"f{suffix}"
    done = embed_files([photos], out, pooled(), precision="fp32", batch_size=5)
    assert (done.images, done.computed, done.width) == (14, 14, 5)
    assert [Path(s.path).name for s in done.unreadable] == ["04b.jpg", "empty.png"]
    table = read_features(out)
    assert list(table.files) == sorted(table.files) and len(table) == 14
    assert table.labels == ("cats",) * 7 + ("dogs",) * 7
    expected = pooled().features(np.stack([np.asarray(Image.open(f)) for f in table.files]))
    np.testing.assert_allclose(table.features, expected, atol=1e-5)
    assert not list(tmp_path.glob(".f*")) and not (tmp_path / f"f{suffix}.partial").exists()


def test_known_content_is_not_computed_again_wherever_it_lies(photos: Path, tmp_path: Path) -> None:
    embed_files([photos], tmp_path / "a.npz", pooled())
    (photos / "cats" / "01.png").rename(photos / "moved.png")
    Image.new("RGB", (24, 24)).save(photos / "new.png")
    done = embed_files([photos], tmp_path / "b.npz", pooled())
    assert (done.images, done.computed) == (15, 1)
    assert embed_files([photos], tmp_path / "c.npz", pooled(1)).computed == 15  # another model
    body = feature_model(pooled(), pooling="max")
    assert embed_files([photos], tmp_path / "d.npz", body).computed == 15  # another pooling


def test_what_was_done_before_a_stop_is_kept(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = files_room.compute

    marked = np.asarray(Image.open(sorted((photos / "dogs").glob("*.png"))[-1]))

    def failing(body: Model, images: list[np.ndarray], *arguments: object) -> np.ndarray:
        if any(np.array_equal(image, marked) for image in images):  # the last one, whichever thread has it
            raise KeyboardInterrupt
        return original(body, images, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(files_room, "compute", failing)
    with pytest.raises(KeyboardInterrupt):
        embed_files([photos], tmp_path / "a.npz", pooled(), batch_size=4, cache=False)
    assert not (tmp_path / "a.npz").exists()
    monkeypatch.setattr(files_room, "compute", original)
    assert embed_files([photos], tmp_path / "a.npz", pooled(), batch_size=4, cache=False).computed == 1
    assert not (tmp_path / "a.npz.partial").exists()


def test_resumes_after_kill_9(photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.path[:0] = [{here!r}]\n"
        "from test_embed_files import pooled\nfrom hubel.reuse import embed_files, files\n"
        "files.SHARD = 4\nfirst = files.compute\n"
        "def slow(*a):\n    time.sleep(0.2)\n    return first(*a)\n"
        "files.compute = slow\nembed_files([{photos!r}], {out!r}, pooled(), batch_size=2)\n"
    ).format(here=str(Path(__file__).parent), photos=str(photos), out=str(tmp_path / "a.npz"))
    child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ})
    cache, deadline = tmp_path / "cache", time.monotonic() + 300
    while not list(cache.rglob("*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "a.npz").exists()
    done = embed_files([photos], tmp_path / "a.npz", pooled(), precision="auto")
    assert 0 < done.computed < 14 and len(read_features(tmp_path / "a.npz")) == 14


def test_errors(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv"):
        embed_files([photos], tmp_path / "a.csv", pooled())
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no images"):
        embed_files([tmp_path / "none"], tmp_path / "a.npz", pooled())
    with pytest.raises(DataError, match="does not exist"):
        read_features(tmp_path / "nothing.npz")


def test_command(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pooled().save(tmp_path / "m.hubel")
    (photos / "bad.jpg").write_bytes(b"no")
    out = tmp_path / "f.npz"
    code = run(["embed", str(photos), "-o", str(out), "--model", str(tmp_path / "m.hubel"), "--views", "mirror", "--json"])
    seen = capsys.readouterr()
    assert code == 2 and "bad.jpg" in seen.err and json.loads(seen.out)["images"] == 14
    assert run(["embed", str(photos), "-o", str(out), "--model", "missing.hubel"]) == 2


def test_timm_names_become_ours() -> None:
    ours = nets.build("efficientnet_lite0", 7, seed=3)
    theirs, number = {}, 0
    outer = {"stem": "conv_stem", "stem_norm": "bn1", "head": "conv_head", "head_norm": "bn2", "classifier": "classifier"}
    first = {"depthwise": "conv_dw", "depthwise_norm": "bn1", "project": "conv_pw", "project_norm": "bn2"}
    other = {"expand": "conv_pw", "expand_norm": "bn1", "depthwise": "conv_dw", "depthwise_norm": "bn2", "project": "conv_pwl",
             "project_norm": "bn3"}
    places = [(s, r) for s, n in enumerate((1, 2, 2, 3, 3, 4, 1)) for r in range(n)]
    for name, value in ours.state_dict().items():
        parts = name.split(".")
        if parts[0] == "blocks":
            number = int(parts[1])
            table = first if number == 0 else other
            theirs[f"blocks.{places[number][0]}.{places[number][1]}.{table[parts[2]]}.{parts[3]}"] = value
        else:
            theirs[f"{outer[parts[0]]}.{parts[1]}"] = value
    from hubel.reuse.state_dicts import from_timm_lite

    found = from_timm_lite(theirs)
    assert found.keys() == ours.state_dict().keys()
    assert all(torch.equal(found[k], v) for k, v in ours.state_dict().items())


def test_torchvision_state_dict(tmp_path: Path) -> None:
    network = nets.build("resnet18", 3, seed=1).eval()
    torch.save(network.state_dict(), tmp_path / "r.pth")
    model = from_state_dict(tmp_path / "r.pth", "resnet18", classes="abc")
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(model.network(x), network(x))
    with pytest.raises(ModelError, match="not those of resnet34"):
        from_state_dict(tmp_path / "r.pth", "resnet34")
    (tmp_path / "x.pth").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError, match="no state dict"):
        from_state_dict(tmp_path / "x.pth", "resnet18")
