"""The most exciting inputs against brute force over all images, units and places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hubel.errors import DataError, InputError
from hubel.look import activations, exciting, layers, top_inputs
from hubel.look.topk import TopK, peak


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (53, 12, 12, 3), dtype=np.uint8)


def brute(model, images, layer):
    with torch.no_grad():
        return activations(model.network, model.normalise(model.prepare(images)), [layer])[layer]


@pytest.mark.parametrize("layer", ["2", "4", "7"])
def test_top_k_is_brute_force(small, images, layer):
    a = brute(small, images, layer)
    peaks = a.flatten(2).amax(2) if a.ndim == 4 else a
    result = exciting(small, images, layer, units=[0, 3], k=5)
    for i, unit in enumerate([0, 3]):
        values, order = peaks[:, unit].sort(descending=True)
        np.testing.assert_allclose(result.activations[i], values[:5], rtol=1e-5)
        assert result.images[i].tolist() == order[:5].tolist()


def test_crops_are_what_the_unit_saw(small, images):
    result = exciting(small, images, "4", units=[2], k=3)
    a = brute(small, images, "4")
    prepared = (small.prepare(images) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for j in range(3):
        row, column = result.positions[0, j]
        assert a[result.images[0, j], 2, row, column].item() == pytest.approx(result.activations[0, j], rel=1e-5)
        top, bottom, left, right = layers(small)["4"].box(row, column)
        np.testing.assert_array_equal(result.crops[0][j], prepared[result.images[0, j], top:bottom, left:right])
        # outside its field nothing matters
        other = small.prepare(images[result.images[0, j]]).clone()
        mask = torch.ones_like(other, dtype=torch.bool)
        mask[:, :, top:bottom, left:right] = False
        other[mask] = 0
        changed = activations(small.network, small.normalise(other), ["4"])["4"][0, 2, row, column]
        assert changed.item() == pytest.approx(result.activations[0, j], rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_one_pass_serves_all_layers_whatever_the_batch(small, images, batch_size):
    tops, _ = top_inputs(small, images, ["2", "4", "7"], k=4, batch_size=batch_size)
    for name, top in tops.items():
        a = brute(small, images, name)
        peaks = a.flatten(2).amax(2) if a.ndim == 4 else a
        found = peaks.gather(0, top.inputs.T)  # the images found, measured exactly
        best = peaks.sort(0, descending=True).values[:4]
        assert (found - best).abs().max() <= 0.03 * peaks.std()
        assert top.seen == 53
        np.testing.assert_allclose(top.mean, peaks.double().mean(0), atol=0.02 * float(peaks.std()))


def test_running_top_k_keeps_order_of_equals_and_places():
    top = TopK(2, 3)
    maps = torch.zeros(4, 2, 2, 2)
    maps[0, 0, 1, 0], maps[2, 0, 0, 1], maps[3, 1, 1, 1] = 5, 7, 1
    top.update(maps[:2], torch.tensor([10, 11]))
    top.update(maps[2:], torch.tensor([12, 13]))
    assert top.values.tolist() == [[7, 5, 0], [1, 0, 0]]
    assert top.inputs.tolist() == [[12, 10, 11], [13, 10, 11]]
    back = TopK.restore(top.state())
    assert torch.equal(back.values, top.values) and back.seen == 4


def test_running_top_k_is_a_stable_sort_however_the_data_are_cut():
    rng = torch.Generator().manual_seed(0)
    values = torch.randint(-3, 4, (300, 6), generator=rng) * 0.5  # many ties, negatives, zeros of both signs
    values[:, 1] = -values[:, 1].abs()
    values[:, 2] = 0
    values[5, 3], values[7, 3] = torch.inf, -torch.inf
    order = values.sort(dim=0, descending=True, stable=True).indices[:9].T
    for size in (1, 7, 150, 300):
        top = TopK(6, 9)
        for i in range(0, 300, size):
            top.update(values[i : i + size], torch.arange(i, min(i + size, 300)))
            if size == 150:
                assert top.values.shape == (6, 9)  # looking at it in between changes nothing
        assert torch.equal(top.inputs, order) and torch.equal(top.values, values.T.gather(1, order))
    few = TopK(2, 4)
    few.update(torch.tensor([[1.0, -2.0]]), torch.tensor([3]))
    assert few.inputs.tolist() == [[3, -1, -1, -1]] * 2 and few.values[1].tolist() == [-2.0] + [-torch.inf] * 3
    assert torch.equal(TopK.restore(few.state()).inputs, few.inputs)


def test_fewer_images_than_k_and_bad_requests(small, images):
    result = exciting(small, images[:2], "4", k=9)
    assert result.activations.shape == (8, 2) and result.seen == 2
    assert result.plot() and "<img" in result._repr_html_() and result.to_dict()["seen"] == 2
    with pytest.raises(InputError, match="units 0 to 11"):
        exciting(small, images, "4", units=[12])
    with pytest.raises(DataError, match="0 images"):
        exciting(small, images[:0], "4")


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_peaks_of_bf16_maps_are_those_of_their_values(layout):
    x = torch.randn(3, 5, 7, 4, generator=torch.Generator().manual_seed(0))
    x[0, 0], x[1, 1], x[2, 2] = -x[0, 0].abs(), 0.0, -0.0
    low = x.bfloat16().contiguous(memory_format=layout)
    assert torch.equal(peak(low), low.float().amax((2, 3)))
