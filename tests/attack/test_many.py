"""One perturbation for many images, adversarials for another network, patches, the demonstration and its commands."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from hubel.attack import demonstrate, patch, transfer, universal
from hubel.attack.patch import disc, wear
from hubel.attack.transfer import diverse
from hubel.cli import run
from hubel.errors import InputError
from hubel.model import Model


def network(seed: int, width: int = 8) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(width, 16, 3, padding=1), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 4)).eval()


def scenes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four classes: the quarter that is lit, on noise."""
    g = np.random.default_rng(seed)
    y = g.integers(0, 4, n)
    x = g.integers(60, 140, (n, 16, 20, 3))
    for i, k in enumerate(y):
        x[i, (k // 2) * 8: (k // 2) * 8 + 8, (k % 2) * 10: (k % 2) * 10 + 10] += 45
    return x.astype(np.uint8), y


@pytest.fixture(scope="module")
def models() -> list[Model]:
    x, y = scenes(400)
    out = []
    for seed in (0, 1):
        model = Model(network(seed), ["nw", "ne", "sw", "se"], size=(16, 20), channels=3)
        model.compile("adam")
        model.fit(x, y, epochs=8, batch_size=32, learning_rate=0.01, verbose=0)
        out.append(model)
    return out


def test_a_universal_perturbation_beats_noise_of_its_size(models):
    x, y = scenes(60, 1)
    others = scenes(60, 2)
    result = universal(models[0], x, y, "16/255", epochs=6, judge=others, progress=False)
    assert np.abs(result.perturbation).max() <= 16 / 255 + 1e-6
    assert np.allclose(result.perturbation * 255, (result.perturbation * 255).round(), atol=1e-3)
    g = np.random.default_rng(0)
    noise = np.sign(g.normal(size=(16, 20, 3))) * 16 / 255
    clean = others[0].astype(float) / 255
    after = models[0].predict(np.clip(clean + noise, 0, 1)).argmax(1)
    by_noise = (after != others[1])[result.before == others[1]].mean()
    assert result.fooled > by_noise + 0.1
    assert json.dumps(result.to_dict()) and "one perturbation" in str(result)
    changed = models[0].predict(np.clip(clean + result.perturbation, 0, 1)).argmax(1)
    assert np.array_equal(changed, result.after)


def test_transfer_breaks_another_network_and_stays_in_the_ball(models):
    x, y = scenes(60, 3)
    eps = 24 / 255
    result = transfer(models[1], models[0], x, y, eps, progress=False)
    assert np.abs(result.adversarials.astype(int) - x).max() <= 24
    assert result.success.mean() > 0.2
    assert np.array_equal(models[0].predict(result.adversarials).argmax(1)[result.success], result.predicted_after[result.success])
    alone = transfer(models[1], models[0], x[7:8], y[7:8], eps, progress=False)
    assert alone.success[0] == result.success[7]


def test_diverse_views_are_as_large_and_differentiable():
    x = torch.rand(6, 3, 12, 15, requires_grad=True)
    numbers = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    numbers[:3, 0], numbers[3:, 0] = 0.0, 1.0
    view = diverse(x, numbers, 0.5, 0.6)
    assert view.shape == x.shape and torch.equal(view[3:], x[3:])
    assert (view[:3] != x[:3]).flatten(1).any(1).all()
    view.sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_patch_works_where_it_is_laid(models):
    x, y = scenes(40, 4)
    result = patch(models[0], x, y, "se", share=0.2, steps=100, judge=scenes(40, 5), progress=False)
    assert result.rate > result.by_chance + 0.1
    assert result.picture.dtype == np.uint8 and result.target == "se"
    assert len(result.success) == (scenes(40, 5)[1] != 3).sum()


def test_wearing_a_patch_changes_its_disc_alone():
    x, picture = torch.zeros(4, 1, 30, 40), torch.ones(1, 1, 11, 11)
    worn = wear(x, picture, torch.Generator().manual_seed(0), 30.0)
    area = worn.flatten(1).sum(1)
    expected = disc(11).sum()
    assert ((area > 0.7 * expected) & (area < 1.35 * expected)).all()
    rows, columns = (worn[0, 0] > 0.5).any(1).sum(), (worn[0, 0] > 0.5).any(0).sum()
    assert abs(int(rows) - int(columns)) <= 1  # still round on an image that is not square


def test_the_demonstration_survives_its_file(models, tmp_path):
    x, y = scenes(3, 6)
    found = demonstrate(models[0], x[0], target=(int(y[0]) + 1) % 4)
    assert found.success and found.image.dtype == np.uint8
    path = found.save(tmp_path / "a.png")
    again = np.asarray(Image.open(path))
    assert np.array_equal(again, found.image)
    assert models[0].predict(again).argmax(1)[0] == (int(y[0]) + 1) % 4
    with pytest.raises(InputError, match=r"\.png"):
        found.save(tmp_path / "a.jpg")
    found.plot().savefig(io.BytesIO())


def test_the_command_prints_what_the_file_is_taken_for(models, tmp_path, capsys):
    x, y = scenes(3, 7)
    models[0].save(tmp_path / "m.hubel")
    Image.fromarray(x[1]).save(tmp_path / "photo.png")
    aim = ["nw", "ne", "sw", "se"][(int(y[1]) + 2) % 4]
    code = run(["attack", str(tmp_path / "m.hubel"), str(tmp_path / "photo.png"), "--target", aim.upper(), "--picture",
                str(tmp_path / "shown.png")])
    out = capsys.readouterr().out
    assert code == 0
    assert out.splitlines()[1].startswith(f"{tmp_path / 'photo-adversarial.png'}: {aim} (")
    assert (tmp_path / "shown.png").stat().st_size > 1000
    assert run(["attack", str(tmp_path / "m.hubel"), str(tmp_path / "photo.png"), "--target", "nowhere"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_the_commands_measure_data(models, tmp_path, capsys):
    x, y = scenes(60, 8)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    models[0].save(tmp_path / "m.hubel")
    code = run(["attack", str(tmp_path / "m.hubel"), str(tmp_path / "data.npz"), "--eps", "2/255", "--version", "fast", "--images", "8",
                "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert code == 0 and facts["images"] == 8 and 0 <= facts["robust_accuracy"][0] <= facts["clean_accuracy"]
    assert run(["certify", str(tmp_path / "m.hubel"), str(tmp_path / "data.npz"), "--votes", "200", "--images", "4"]) == 0
    assert "randomised smoothing, sigma 0.25" in capsys.readouterr().out
    assert run(["certify", str(tmp_path / "m.hubel"), str(tmp_path / "data.npz"), "--bounds", "1/255", "--images", "4"]) == 0
    assert "interval bounds" in capsys.readouterr().out
