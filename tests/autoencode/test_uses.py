"""What autoencoders are good for: each measure against scikit-learn, SciPy or a closed form, each use on data with an answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.metrics import jaccard_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from hubel import autoencode
from hubel.autoencode import Autoencoder
from hubel.autoencode.anomalies import Neighbourhood
from hubel.autoencode.clusters import dense_features, matched
from hubel.autoencode.probe import linear_probe
from hubel.autoencode.segment import stages_of
from hubel.autoencode.synthesise import _mixture
from hubel.errors import InputError, ModelError
from hubel.model import Model

# ---- pictures ------------------------------------------------------------------------------------------------------

def test_reconstructions_keep_both_and_their_errors(coder: Autoencoder, spots: np.ndarray) -> None:
    found = autoencode.reconstructions(coder, spots[:30])
    np.testing.assert_array_equal(found.outputs, coder.reconstruct(spots[:30]))
    expected = ((spots[:30] / 255 - found.outputs / 255) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(found.errors, expected, rtol=1e-4)
    assert found.to_dict()["psnr"] == pytest.approx(np.mean(-10 * np.log10(expected)), rel=1e-4)
    assert found.plot().get_axes() and "<img" in found._repr_html_()


def test_walk_leads_from_code_to_code_in_even_steps(coder: Autoencoder, spots: np.ndarray) -> None:
    found = autoencode.walk(coder, spots[:4], steps=5)
    codes = coder.encode(spots[:4])
    assert found.images.shape == (2, 5, 16, 16, 1)
    np.testing.assert_allclose(found.codes[1], [codes[2] + s * (codes[3] - codes[2]) for s in (0, 0.25, 0.5, 0.75, 1)], atol=1e-5)
    np.testing.assert_array_equal(found.images[0, 0], coder.reconstruct(spots[:1])[0])
    assert found.plot().get_axes()


def test_walk_along_the_directions_in_which_codes_differ(coder: Autoencoder, spots: np.ndarray) -> None:
    from sklearn.decomposition import PCA

    found = autoencode.walk(coder, spots, along=2, steps=3, reach=2)
    pca = PCA(2).fit(coder.encode(spots))
    for i in range(2):
        step = found.codes[i, 2] - found.codes[i, 1]
        assert np.linalg.norm(step) == pytest.approx(2 * pca.explained_variance_[i] ** 0.5, rel=1e-3)
        assert abs(step @ pca.components_[i]) == pytest.approx(np.linalg.norm(step), rel=1e-3)
    with pytest.raises(InputError, match="8 directions"):
        autoencode.walk(coder, spots, along=9)


def test_error_falls_as_the_bottleneck_widens(spots: np.ndarray) -> None:
    found = autoencode.error_by_size(spots, (1, 4), kind="dense", options={"widths": (64,)}, epochs=25, batch_size=50, verbose=0)
    assert found.errors[1] < 0.6 * found.errors[0] and found.pca[1] < found.pca[0]
    assert found.errors[1] < found.pca[1]  # three numbers describe a spot, but not linearly
    assert found.plot().get_axes()


# ---- anomalies -----------------------------------------------------------------------------------------------------

def test_auroc_is_scikit_learns_ties_included() -> None:
    draw = np.random.default_rng(0)
    strange, scores = draw.random(200) < 0.3, draw.integers(0, 12, 200)
    assert autoencode.auroc(strange, scores) == pytest.approx(roc_auc_score(strange, scores))
    with pytest.raises(InputError, match="0 strange"):
        autoencode.auroc(np.zeros(3, bool), np.ones(3))


def test_neighbourhood_is_the_ratio_of_distances() -> None:
    draw = np.random.default_rng(0)
    known, rows = draw.normal(size=(300, 6)), draw.normal(size=(40, 6)) * 2
    near = NearestNeighbors(n_neighbors=5).fit(known)
    far, places = near.kneighbors(rows)
    own = near.kneighbors()[0].mean(1)
    np.testing.assert_allclose(Neighbourhood(known).score(rows), far.mean(1) / own[places].mean(1), rtol=1e-3)


@pytest.mark.parametrize("by", ["gradients", "reconstruction", "codes"])
def test_what_was_never_seen_is_strange(coder: Autoencoder, spots: np.ndarray, blobs: Callable[..., np.ndarray], by: str) -> None:
    found = autoencode.detector(spots, coder=coder, by=by, quantile=0.95)
    normal = blobs(200, seed=9)
    strange = np.random.default_rng(1).integers(0, 256, (50, 16, 16, 1), dtype=np.uint8)
    assert found.strange(strange).all() and found.strange(normal).mean() < 0.2
    assert (found.rank(strange) == 1).all() and 0.3 < found.rank(normal).mean() < 0.7
    shown = autoencode.anomalies(found, np.concatenate([normal[:5], strange[:2]]), coder=coder)
    assert shown.to_dict()["strange"] >= 2 and {r["name"] for r in shown.to_dict()["ranked"][:2]} == {"5", "6"}
    assert shown.plot().get_axes()


def test_gradients_by_brute_force_and_what_they_are_blind_to(spots: np.ndarray) -> None:
    """Distances between roots of histograms and between cells' colours: contrast turned round leaves the former as they are."""
    from hubel.features import HOG

    found = autoencode.detector(spots, held_out=0.2)
    order = np.random.default_rng(0).permutation(len(spots))
    learn = spots[np.sort(order[120:])]
    hog = HOG(size=32).fit(learn)
    cells = [x.reshape(len(x), 4, 4, 4, 4).mean((2, 4)).reshape(len(x), -1) / 255 for x in (learn, spots[:7])]
    rows = [np.concatenate([hog.transform(x) ** 0.5, 2 * c], 1) for x, c in zip((learn, spots[:7]), cells, strict=True)]
    far = np.sort(np.linalg.norm(rows[1][:, None] - rows[0][None], axis=2), axis=1)[:, :5].mean(1)
    np.testing.assert_allclose(found.score(spots[:7]), far, rtol=1e-3, atol=1e-2)
    assert found.strange(255 - spots[:50]).all()


def test_features_of_a_model_and_wrong_ways(coder: Autoencoder, spots: np.ndarray) -> None:
    torch.manual_seed(0)
    model = Model(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2)),
                  size=16, channels=1)
    found = autoencode.detector(spots, model=model, by="features")
    assert found.by == "features" and found.score(255 - spots[:20]).mean() > 2 * found.score(spots[:20]).mean()
    for wrong in ({"coder": coder, "by": "features"}, {"model": model, "by": "codes"}, {"by": "logits"}):
        with pytest.raises(InputError, match="needs"):
            autoencode.detector(spots, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is unknown"):
        autoencode.detector(spots, coder=coder, by="magic")


def test_logits_say_whether_any_class_claims_an_image(spots: np.ndarray) -> None:
    torch.manual_seed(0)
    dense = torch.nn.Linear(256, 3)
    model = Model(torch.nn.Sequential(torch.nn.Flatten(), dense), size=16, channels=1)
    found = autoencode.detector(spots, model=model)
    by_hand = (torch.from_numpy(spots[:9]).float() / 255).flatten(1) @ dense.weight.T + dense.bias
    assert found.by == "logits"
    np.testing.assert_allclose(found.score(spots[:9]), -by_hand.amax(1).detach(), rtol=1e-4, atol=1e-6)
    assert (found.score(spots) > found.threshold).mean() < 0.1
    with pytest.raises(InputError, match="needs a classifier"):
        autoencode.detector(spots, model=Model(model.network, size=16, channels=1, output="values"), by="logits")


def test_class_left_out_is_kept_from_the_learner() -> None:
    x = np.repeat(np.arange(30, dtype=np.uint8), 4).reshape(30, 2, 2, 1)
    y = np.arange(30) % 3
    seen = []

    def learn(normal: np.ndarray, labels: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
        seen.append((set(normal[:, 0, 0, 0] % 3), set(labels)))
        return {"way": (test[:, 0, 0, 0] % 3 == 1).astype(float)}

    found = autoencode.leave_one_out((x, y), (x, y), learn, verbose=0)
    assert seen == [({1, 2}, {0, 1}), ({0, 2}, {0, 1}), ({0, 1}, {0, 1})]
    assert found.values["way"] == pytest.approx((0.25, 1.0, 0.25))  # of the others half are scored 1: a tie counts half
    assert found.plot().get_axes()


# ---- features ------------------------------------------------------------------------------------------------------

def test_probe_ranks_features_by_what_they_say() -> None:
    draw = np.random.default_rng(0)
    y, yt = draw.integers(0, 3, 300), draw.integers(0, 3, 300)
    noise = [draw.normal(size=(300, 10)) for _ in range(2)]
    good = [np.eye(3)[labels] * 6 + draw.normal(size=(300, 3)) for labels in (y, yt)]
    found = autoencode.probe({"noise": tuple(noise), "good": tuple(good)}, y, yt, shots=(1, 5), draws=10)
    chance, told = found.rows
    assert chance.linear < 0.45 and told.linear > 0.95
    assert chance.few[5][0] < 0.45 and told.few[5][0] > 0.9 and told.few[1][0] < told.few[5][0]
    assert told.numbers == 3 and "good" in str(found) and "<table>" in found._repr_html_() and found.plot().get_axes()
    with pytest.raises(InputError, match="rows for"):
        autoencode.probe({"short": (good[0][:5], good[1])}, y, yt)


def test_linear_probe_reaches_the_best_linear_rule() -> None:
    """Two normal classes of equal covariance: Bayes' rule is linear, and its accuracy Phi(d / 2)."""
    from scipy.stats import norm

    draw = np.random.default_rng(0)
    y, yt = draw.integers(0, 2, 4000), draw.integers(0, 2, 4000)
    a, b = (draw.normal(size=(4000, 5)) + labels[:, None] * 0.8 for labels in (y, yt))
    assert linear_probe(a, y, b, yt) == pytest.approx(norm.cdf(0.8 * 5**0.5 / 2), abs=0.02)


# ---- synthesis -----------------------------------------------------------------------------------------------------

def test_frechet_against_scipys_matrix_root() -> None:
    draw = np.random.default_rng(0)
    for count in (200, 12):  # more rows than numbers, and fewer
        a, b = draw.normal(size=(count, 20)) @ draw.normal(size=(20, 20)), draw.normal(size=(count + 5, 20)) + 0.5
        c, d = np.cov(a.T), np.cov(b.T)
        expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c + d - 2 * scipy.linalg.sqrtm(c @ d).real)
        assert autoencode.frechet(a, b) == pytest.approx(expected, rel=1e-4)
        assert autoencode.frechet(a, a) == pytest.approx(0, abs=1e-8)


def test_synthesised_images_are_drawn_like_the_real_ones(spots: np.ndarray) -> None:
    made = autoencode.build("variational", 16, 1, 4, width=8)
    made.fit(spots, epochs=25, batch_size=50, verbose=0)
    first, again = (autoencode.synthesise(made, 200, like=spots, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.images, again.images)
    brightness = [images.mean((1, 2, 3)) for images in (spots, first.images)]
    assert brightness[1].mean() == pytest.approx(brightness[0].mean(), rel=0.3)
    peaks = first.images.max((1, 2, 3))
    assert np.median(peaks) > 150  # spots, not a haze
    model = Model(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 12), torch.nn.Linear(12, 2)), size=16, channels=1)
    found = autoencode.quality(made, spots, like=spots, model=model, count=150)
    assert max(found.synthesised, found.reconstructed, found.real) < 0.5 * found.noise
    assert "not with published FIDs" in str(found) and found.plot().get_axes()


def test_prior_is_drawn_from_and_a_plain_autoencoder_has_none(coder: Autoencoder) -> None:
    made = autoencode.build("variational", 16, 1, 4, width=4)
    codes = autoencode.synthesise(made, 4000, temperature=0.5).codes
    np.testing.assert_allclose(np.cov(codes.T), 0.25 * np.eye(4), atol=0.03)
    with pytest.raises(ModelError, match="not variational"):
        autoencode.synthesise(coder)


def test_mixture_has_the_codes_mean_and_covariance() -> None:
    draw = np.random.default_rng(0)
    codes = draw.normal(size=(3000, 3)) @ draw.normal(size=(3, 3)) + 2 + 6 * (np.arange(3000) % 2)[:, None]
    made = _mixture(codes, 3000, 1.0, draw)
    np.testing.assert_allclose(made.mean(0), codes.mean(0), atol=0.3)
    np.testing.assert_allclose(np.cov(made.T), np.cov(codes.T), rtol=0.1, atol=0.3)


# ---- segmentation --------------------------------------------------------------------------------------------------

def test_iou_against_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    found, masks = draw.integers(0, 3, (4, 8, 8)), draw.integers(0, 3, (4, 8, 8))
    expected = jaccard_score(masks.ravel(), found.ravel(), average=None)
    np.testing.assert_allclose(autoencode.iou(found, masks, 3), expected)
    assert np.isnan(autoencode.iou(found, masks, 4)[3])


def _squares(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    x, masks = draw.integers(0, 60, (count, 16, 16, 1), dtype=np.uint8), np.zeros((count, 16, 16), np.uint8)
    for i, (a, b) in enumerate(draw.integers(0, 9, (count, 2))):
        masks[i, a : a + 7, b : b + 7] = 1
    return x + 120 * masks[..., None], masks


def test_segmenter_learns_masks_and_comes_back_from_its_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    x, masks = _squares(40, 0)
    model = autoencode.segmenter(["ground", "square"], size=16, channels=1, width=8)
    autoencode.fit_masks(model, x, masks, epochs=30, batch_size=8, verbose=0)
    others, true = _squares(20, 1)
    found = autoencode.segmentation(model, others, true)
    assert found.iou is not None and found.iou.min() > 0.85
    again = Model.load(model.save(tmp_path / "squares.hubel"))
    np.testing.assert_array_equal(autoencode.segments(again, others), found.found)
    assert found.plot().get_axes() and found.to_dict()["mean_iou"] > 0.9
    with pytest.raises(InputError, match="masks hold"):
        autoencode.fit_masks(model, x, masks + 1, verbose=0)
    with pytest.raises(InputError, match="masks of shape"):
        autoencode.fit_masks(model, x, masks[:, :8], verbose=0)


def test_segmenter_begins_with_what_the_encoder_has_learned(coder: Autoencoder) -> None:
    model = autoencode.segmenter(2, coder=coder)
    x = torch.rand(2, 1, 16, 16)
    first = coder.network.encoder[0]  # type: ignore[index]
    torch.testing.assert_close(model.network.stages[0].eval()(x), first.eval()(x))  # type: ignore[index, union-attr]
    assert model.network.stages[0] is not first  # type: ignore[index]
    with pytest.raises(ModelError, match="no stages"):
        stages_of(autoencode.build("dense", 8, 1, 4))


def test_clusters_find_regions_of_unlike_texture(coder: Autoencoder) -> None:
    x, masks = _squares(20, 2)
    found = autoencode.clusters(coder, x, 2, masks=masks)
    assert found.iou is not None and found.iou.min() > 0.6
    assert autoencode.clusters(coder, x, 3).masks is None


def test_dense_features_are_the_layers_maps_at_one_size(coder: Autoencoder, spots: np.ndarray) -> None:
    x = coder.prepare(spots[:3])
    rows, size = dense_features(coder, x, ["encoder.0"])
    maps = coder.network.encoder[0](coder.normalise(x)).detach()  # type: ignore[index]
    assert size == tuple(maps.shape[2:]) and rows.shape == (3 * size[0] * size[1], maps.shape[1])
    assert np.corrcoef(rows[:, 2], maps[:, 2].flatten().numpy())[0, 1] == pytest.approx(1, abs=1e-4)


def test_clusters_take_the_name_of_the_class_they_agree_with() -> None:
    masks = np.array([0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(matched(np.array([1, 1, 1, 0, 0, 1]), masks, 2, 2), [0, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(matched(np.array([2, 0, 0, 1, 1, 1]), masks, 3, 2), [0, 0, 0, 1, 1, 1])


def test_scenes_have_the_digit_where_the_mask_says() -> None:
    digits = np.zeros((2, 28, 28), np.uint8)
    digits[:, 8:20, 8:20] = 255
    images, masks = autoencode.digit_scenes(digits, 30, 32, seed=1)
    assert images.shape == (30, 32, 32, 3) and set(np.unique(masks)) == {0, 1}
    inside = [images[i][masks[i] == 1].std(0).mean() for i in range(30)]
    assert np.median(inside) < 25 < 255 * 0.5 and 0.03 < masks.mean() < 0.2  # one colour and noise of 0.06
