"""Augmentation: against brute force and known turns, and the same for a sample in every batch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from hubel.errors import InputError
from hubel.training.augment import (
    Brightness,
    Compose,
    Contrast,
    Crop,
    CutMix,
    CutOut,
    Darken,
    Draws,
    Flip,
    Gain,
    Lighten,
    Mixup,
    Noise,
    Rotate,
    Shift,
    ShiftColours,
    ShiftTime,
    Skew,
    Speed,
    Zoom,
    check_meaning,
    default_augmentation,
    show,
)
from hubel.training.augment.warps import resample

X = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (13, 3, 12, 10), dtype=np.uint8))
Y = torch.arange(13) % 4


def draws(index, epoch=1, x=X, y=Y):
    return Draws(5, epoch, np.asarray(index), lambda i: (x[i], y[i]), len(x))


ALL = [Shift(3), Shift(3, "edge"), Shift(3, "zero"), Flip(), Flip(alternate=True), CutOut(5), Rotate(30), Skew(20),
       Zoom(0.7, 1.4), Crop(0.4), Darken(0.5), Lighten(0.5), Brightness(0.5), Contrast(0.5), ShiftColours(0.3),
       Mixup(4, 0.5), CutMix(4), *(default_augmentation(kind, 10) for kind in ("photo", "digit", "image"))]


@pytest.mark.parametrize("transform", ALL, ids=repr)
@pytest.mark.parametrize("floats", [False, True])
def test_a_sample_turns_out_the_same_in_every_batch(transform, floats):
    x = X.float() / 255 if floats else X
    compose = transform if isinstance(transform, Compose) else Compose(transform)
    whole, labels = compose(x, Y, draws(range(13), x=x))
    parts = [compose(x[i], Y[i], draws(i, x=x)) for i in ([0, 1, 2, 3, 4], [5], [6, 7, 8, 9, 10, 11, 12])]
    torch.testing.assert_close(whole, torch.cat([p[0] for p in parts]), rtol=0, atol=1e-6)
    torch.testing.assert_close(labels, torch.cat([p[1] for p in parts]), rtol=0, atol=1e-6)
    assert whole.shape == x.shape
    if whole.is_floating_point():
        assert whole.min() >= -1e-6 and whole.max() <= 1 + 1e-6
    other, _ = compose(x, Y, draws(range(13), epoch=2, x=x))
    assert not torch.equal(whole, other)
    assert torch.equal(x, X.float() / 255 if floats else X), "the input must stay as it was"


@pytest.mark.parametrize(("fill", "mode"), [("reflect", "reflect"), ("edge", "edge"), ("zero", "constant")])
def test_shift_is_pad_and_crop(fill, mode):
    shift = Shift(3, fill)
    plan = shift.plan(draws(range(13)), tuple(X.shape))
    moved = shift.apply(X, plan).numpy()
    padded = np.pad(X.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode=mode)
    for i, (dy, dx) in enumerate(zip(*plan, strict=True)):
        assert (moved[i] == padded[i, :, 3 + dy : 15 + dy, 3 + dx : 13 + dx]).all()
    assert plan[0].unique().numel() > 3 and plan[0].abs().max() <= 3
    with pytest.raises(InputError, match="shift by less"):
        Shift(10)(X, draws(range(13)))


def test_flip_mirrors_about_half_and_alternates():
    many = draws(range(4000), x=torch.zeros(4000, 1, 2, 2), y=torch.zeros(4000))
    assert 0.46 < Flip().plan(many, (4000, 1, 2, 2)).float().mean() < 0.54
    plans = [Flip(alternate=True).plan(draws(range(13), epoch=e), tuple(X.shape)) for e in range(3)]
    assert torch.equal(plans[0], ~plans[1]) and torch.equal(plans[0], plans[2])
    flipped = Flip(1.0)(X, draws(range(13)))
    assert (flipped.numpy() == X.numpy()[..., ::-1]).all()


def square(n=9):
    return torch.rand(1, 2, n, n, generator=torch.Generator().manual_seed(3))


def test_a_quarter_turn_is_rot90_also_when_not_square():
    x = square()
    quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    torch.testing.assert_close(resample(x, quarter, "zero", "bilinear"), torch.rot90(x, 1, (2, 3)), rtol=0, atol=1e-5)
    wide = torch.zeros(1, 1, 9, 15)
    wide[..., 4, 3:12] = 1.0  # a bar of length 9 in the middle stays a bar of length 9
    turned = resample(wide, quarter, "zero", "bilinear")
    assert [turned[..., 7].sum().item(), turned.sum().item()] == pytest.approx([9.0, 9.0], abs=1e-3)


def test_zoom_shift_maps_are_in_pixels():
    x = square(8)
    one_left = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    torch.testing.assert_close(resample(x, one_left, "zero", "bilinear")[..., :-1], x[..., 1:], rtol=0, atol=1e-5)
    double = torch.diag(torch.tensor([0.5, 0.5, 1.0]))[None]
    flat = resample(torch.full((1, 1, 8, 8), 0.3), double, "edge", "bilinear")
    torch.testing.assert_close(flat, torch.full((1, 1, 8, 8), 0.3))


def test_neighbouring_warps_are_one_resampling_and_in_the_order_given():
    """Rotating then zooming a smooth image, in one step and in two: the same but for the smoothing of the second."""
    ramp = torch.linspace(0, 1, 64)
    x = (0.5 + 0.4 * torch.sin(5 * ramp)[:, None] * torch.cos(4 * ramp)[None])[None, None].repeat(6, 1, 1, 1)
    one = Compose(Crop(0.4), Rotate(25), Zoom(0.8, 1.0))
    assert len(one._steps) == 1
    joined, _ = one(x, torch.zeros(6), draws(range(6)))
    d, stepwise = draws(range(6)), x
    for transform in one.transforms:
        stepwise = transform(stepwise, d)
    middle = (slice(None), slice(None), slice(20, 44), slice(20, 44))
    assert (joined - stepwise)[middle].abs().max() < 0.01
    d, wrong = draws(range(6)), x
    plans = [t.plan(d, tuple(x.shape)) for t in one.transforms]
    for transform, plan in zip(one.transforms[::-1], plans[::-1], strict=True):
        wrong = transform.apply(wrong, plan)
    assert (joined - wrong)[middle].abs().max() > 0.02


def test_crop_stays_inside_and_covers_its_share():
    maps = Crop(0.3, 1.5).plan(draws(range(13)), tuple(X.shape))
    corners = torch.tensor([[sx * 5.0, sy * 6.0, 1.0] for sx in (-1, 1) for sy in (-1, 1)]).T
    places = maps @ corners
    assert places[:, 0].abs().max() <= 5 + 1e-4 and places[:, 1].abs().max() <= 6 + 1e-4
    area = maps[:, 0, 0] * maps[:, 1, 1]
    assert area.min() >= 0.24 and area.max() <= 1.0 and area.std() > 0.1


def test_values_change_as_they_say():
    x = torch.full((4, 3, 2, 2), 0.6)
    for transform, low, high in ((Darken(0.5), 0.3, 0.6), (Lighten(0.5), 0.6, 0.8), (Brightness(0.5), 0.3, 0.8),
                                 (ShiftColours(0.2), 0.4, 0.8)):
        out = transform(x, draws(range(4)))
        assert out.min() >= low - 1e-6 and out.max() <= high + 1e-6 and out.std() > 0.005
    assert torch.allclose(Contrast(0.5)(x, draws(range(4))), x)
    coloured = ShiftColours(0.2)(x, draws(range(4)))
    assert coloured[0, 0, 0, 0] != coloured[0, 1, 0, 0] and (coloured[0, 0] == coloured[0, 0, 0, 0]).all()


def test_cut_out_blanks_one_square_with_the_mean():
    out = CutOut(4)(X, draws(range(13)))
    changed = (out != X).any(1)
    assert changed.flatten(1).sum(1).max() <= 16 and changed.any()
    for i in range(13):
        values = out[i, 0][changed[i]]
        assert (values == X[i, 0].float().mean().round()).all()


def test_mixup_is_the_formula():
    x, y = Compose(Mixup(4, 0.5))(X, Y, draws(range(13)))
    d = draws(range(13))
    partners = np.floor(d.unit() * 13).astype(int)
    share = Mixup(4, 0.5).share(d)
    for i in range(13):
        wanted = share[i] * X[i] / 255 + (1 - share[i]) * X[partners[i]] / 255
        torch.testing.assert_close(x[i], wanted, rtol=0, atol=1e-6)
        target = share[i] * torch.eye(4)[Y[i]] + (1 - share[i]) * torch.eye(4)[Y[partners[i]]]
        torch.testing.assert_close(y[i], target)
    big = Mixup(4, 0.2).share(Draws(0, 0, np.arange(20000))).double()
    assert big.mean().item() == pytest.approx(0.5, abs=0.02)
    assert big.var().item() == pytest.approx(1 / (4 * (2 * 0.2 + 1)), abs=0.01)  # of Beta(a, a)
    with pytest.raises(InputError, match="last"):
        Compose(Mixup(4), Flip())


def test_cutmix_swaps_one_rectangle_and_labels_by_its_area():
    x, y = Compose(CutMix(4))(X, Y, draws(range(13)))
    d = draws(range(13))
    partners = np.floor(d.unit() * 13).astype(int)
    assert x.dtype == torch.uint8
    for i, partner in enumerate(partners):
        inside = ((x[i] == X[partner]) & (X[i] != X[partner])).any(0)
        assert (x[i] == torch.where(inside, X[partner], X[i])).all() or (x[i] == X[i]).all()
        if inside.any():
            rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
            area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) / 120
            want = (1 - area) * torch.eye(4)[Y[i]] + area * torch.eye(4)[Y[partner]]
            torch.testing.assert_close(y[i], want, rtol=0, atol=0.1)  # equal pixels at the rim may hide a row
    torch.testing.assert_close(y.sum(1), torch.ones(13))
    with pytest.raises(InputError, match="masks"):
        Compose(CutMix(4))(X, Y, draws(range(13)), X)
    with pytest.raises(InputError, match="alpha"):
        CutMix(4, 0.0)


SOUND = torch.from_numpy(np.random.default_rng(1).uniform(-0.5, 0.5, (9, 200)).astype(np.float32))


@pytest.mark.parametrize("transform", [ShiftTime(0.2), Speed(1.3), Gain(6), Noise(0.5), default_augmentation("sound"),
                                       default_augmentation("series")], ids=repr)
@pytest.mark.parametrize("series", [False, True])
def test_a_recording_turns_out_the_same_in_every_batch(transform, series):
    x = SOUND.reshape(9, 2, 100) if series else SOUND
    compose, labels = transform if isinstance(transform, Compose) else Compose(transform), torch.arange(9)
    whole, _ = compose(x, labels, draws(range(9), x=x, y=labels))
    parts = [compose(x[i], labels[i], draws(i, x=x, y=labels))[0] for i in ([0, 1, 2], [3], [4, 5, 6, 7, 8])]
    torch.testing.assert_close(whole, torch.cat(parts), rtol=0, atol=1e-6)
    assert whole.shape == x.shape and not torch.equal(whole, x) and whole.abs().max() <= (9 if series else 1)


def test_time_speed_gain_and_noise_do_what_they_say():
    shift = ShiftTime(0.2)
    plan = shift.plan(draws(range(9)), (9, 200))
    moved = shift.apply(SOUND, plan)
    for row, got, by in zip(SOUND, moved, plan.tolist(), strict=True):
        want = np.zeros(200, np.float32)
        want[max(by, 0) : 200 + min(by, 0)] = row[max(-by, 0) : 200 - max(by, 0)]
        np.testing.assert_array_equal(got, want)
    assert plan.abs().max() <= 40 and plan.unique().numel() > 3
    at = torch.arange(4001) / 8000 - 0.25
    tone = (0.5 * torch.sin(2 * torch.pi * 100 * at))[None].repeat(3, 1)
    fast = Speed(2.0).apply(tone, torch.tensor([1.0, 2.0, 0.5]))
    torch.testing.assert_close(fast[0], tone[0])
    torch.testing.assert_close(fast[2], 0.5 * torch.sin(2 * torch.pi * 50 * at), rtol=0, atol=1e-3)
    torch.testing.assert_close(fast[1, 1100:2900], 0.5 * torch.sin(2 * torch.pi * 200 * at)[1100:2900], rtol=0, atol=2e-3)
    assert not fast[1, :900].any() and not fast[1, -900:].any()
    factors = (Gain(6)(SOUND * 0.1, draws(range(9))) / (SOUND * 0.1)).mean(1)
    assert factors.min() >= 10 ** -0.3 - 1e-4 and factors.max() <= 10**0.3 + 1e-4 and factors.std() > 0.1
    level = (Noise(0.5)(SOUND, draws(range(9))) - SOUND).square().mean(1).sqrt() / SOUND.square().mean(1).sqrt()
    assert level.max() <= 0.6 and level.std() > 0.05
    for transform, x, word in ((Flip(), SOUND, "images"), (ShiftTime(0.1), X, "recordings")):
        with pytest.raises(InputError, match=word):
            Compose(transform)(x, Y, draws(range(9)))


def test_masks_go_along_and_keep_their_values():
    masks = torch.zeros(13, 1, 12, 10, dtype=torch.uint8)
    masks[:, :, 3:9, 3:7] = 7
    pictures = masks.repeat(1, 3, 1, 1) * 30
    compose = Compose(Flip(), Shift(2), Rotate(20, "edge"), Brightness(0.1))
    x, _, moved = compose(pictures, Y, draws(range(13)), masks)
    assert moved.dtype == torch.uint8 and set(moved.unique().tolist()) <= {0, 7}
    bright = x[:, :1] > 0.45
    assert (bright == (moved == 7)).float().mean() > 0.97
    assert not torch.equal(moved, masks)


def test_meaning_is_guarded():
    for transform, kind, warned in ((Flip(), "digit", True), (Flip(), "photo", False), (Rotate(90), "digit", True),
                                    (Rotate(10), "digit", False)):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            check_meaning(Compose(transform), kind)
        assert bool(found) is warned
    assert not any(isinstance(t, Flip) for t in default_augmentation("digit", 28).transforms)
    for kind in ("digit", "photo", "image"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_meaning(default_augmentation(kind, 32), kind)
    with pytest.raises(InputError, match="kind 'smell'"):
        default_augmentation("smell", 28)


def test_left_and_right_are_not_mirrored():
    classes = ("turn_left", "turn_right", "stop")
    for kind in ("photo", "image"):
        assert not any(isinstance(t, Flip) for t in default_augmentation(kind, 32, classes).transforms)
        assert any(isinstance(t, Flip) for t in default_augmentation(kind, 32, ("left over", "right", "stop")).transforms)
    for names in (classes, ("b", "d"), ("Left hand", "right hand")):
        with pytest.warns(UserWarning, match="mirrored looks like"):
            check_meaning(Compose(Flip()), "photo", names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_meaning(Compose(Flip()), "photo", ("b", "c", "left", "copyright"))


def test_fit_warns_of_mirrored_digits_however_it_is_called():
    from hubel import Model, data
    from hubel.nets import build

    few = data.load("digits").train.sample(20)
    model = Model(build("small_resnet", 10, 1, seed=0, width=4, stages=1), few.classes, size=8, channels=1)
    with pytest.warns(UserWarning, match="mirrored digit"):
        model.fit(few, augment=Flip(), verbose=0)
    with pytest.warns(UserWarning, match="mirrored digit"):
        model.fit(few.arrays(), few.labels, augment=[Shift(1), Flip()], kind="digit", verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(few, augment="digit", verbose=0)


def test_show_makes_a_picture():
    figure = show(np.random.default_rng(0).integers(0, 256, (20, 16, 3), dtype=np.uint8), "photo", count=5)
    assert sum(bool(a.images) for a in figure.axes) == 6
