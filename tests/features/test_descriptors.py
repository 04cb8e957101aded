"""HOG against scikit-image and a loop, dense SIFT against a loop, transformers against scikit-learn's rules."""

import math
import pickle

import cv2
import numpy as np
import pytest
import skimage.data
import skimage.feature
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import SVC
from sklearn.utils import estimator_checks

from hubel import features, kernels
from hubel.errors import InputError


@pytest.mark.parametrize("norm", ["L2-Hys", "L2", "L1", "L1-sqrt"])
@pytest.mark.parametrize(("shape", "cell", "block"), [((64, 64), 8, 3), ((50, 71), 8, 2), ((45, 60, 3), 6, 1)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
def test_the_skimage_variant_is_scikit_images(norm, shape, cell, block, dtype):
    photo = skimage.data.astronaut()
    x = photo[100 : 100 + shape[0], 120 : 120 + shape[1]]
    x = x if len(shape) == 3 else x[..., 0]
    x = x if dtype == "uint8" else (x / 255).astype(dtype)
    want = skimage.feature.hog(x, pixels_per_cell=(cell, cell), cells_per_block=(block, block), block_norm=norm,
                               feature_vector=False, channel_axis=2 if len(shape) == 3 else None)
    got = features.hog(x, cell=cell, block=block, norm=norm, variant="skimage")
    # for bytes scikit-image adds its epsilon to gradients of 0..255, which tells in nearly flat blocks
    np.testing.assert_allclose(got, want, atol=2e-2 if dtype == "uint8" else 1e-4 if norm == "L1-sqrt" else 1e-5)
    assert np.abs(got - want).mean() < (1e-4 if dtype == "uint8" else 1e-6)


def loop_hog(x, orientations, cell, block):
    """Dalal and Triggs, vote by vote."""
    x = np.sqrt(x)
    h, w = x.shape
    down, right = np.zeros_like(x), np.zeros_like(x)
    down[1:-1], right[:, 1:-1] = x[2:] - x[:-2], x[:, 2:] - x[:, :-2]
    rows, columns, size = h // cell - block + 1, w // cell - block + 1, block * cell
    out = np.zeros((rows, columns, block, block, orientations))
    for r in range(rows):
        for c in range(columns):
            for i in range(size):
                for j in range(size):
                    gy, gx = down[r * cell + i, c * cell + j], right[r * cell + i, c * cell + j]
                    turn = (math.atan2(gy, gx) % math.pi) / math.pi * orientations - 0.5
                    first, part = math.floor(turn), turn - math.floor(turn)
                    far = ((i + 0.5 - size / 2) ** 2 + (j + 0.5 - size / 2) ** 2) / (2 * (size / 2) ** 2)
                    vote = math.hypot(gy, gx) * math.exp(-far)
                    for a in range(block):
                        for b in range(block):
                            near = max(0, 1 - abs((i + 0.5) / cell - a - 0.5)) * max(0, 1 - abs((j + 0.5) / cell - b - 0.5))
                            out[r, c, a, b, first % orientations] += vote * near * (1 - part)
                            out[r, c, a, b, (first + 1) % orientations] += vote * near * part
    flat = out.reshape(rows, columns, -1)
    flat = flat / np.sqrt((flat**2).sum(-1, keepdims=True) + 1e-10)
    flat = np.minimum(flat, 0.2)
    return (flat / np.sqrt((flat**2).sum(-1, keepdims=True) + 1e-10)).reshape(out.shape)


def test_dalal_triggs_vote_by_vote():
    x = skimage.data.camera()[200:232, 200:226] / 255
    np.testing.assert_allclose(features.hog(x, cell=8, block=2), loop_hog(x, 9, 8, 2), atol=2e-4)
    np.testing.assert_allclose(features.hog(x, cell=5, block=3, orientations=6), loop_hog(x, 6, 5, 3), atol=2e-4)


def loop_sift(x, top, left, bin_size):
    """One descriptor, vote by vote (Lowe 2004, section 6.1, upright)."""
    span = 5 * bin_size
    down, right = np.zeros_like(x), np.zeros_like(x)
    down[1:-1], right[:, 1:-1] = x[2:] - x[:-2], x[:, 2:] - x[:, :-2]
    out = np.zeros((4, 4, 8))
    for i in range(span):
        for j in range(span):
            gy, gx = down[top + i, left + j], right[top + i, left + j]
            u, v = (i + 0.5 - span / 2) / bin_size, (j + 0.5 - span / 2) / bin_size
            vote = math.hypot(gy, gx) * math.exp(-(u * u + v * v) / (2 * 2**2))
            turn = (math.atan2(gy, gx) % (2 * math.pi)) / (2 * math.pi) * 8
            first, part = math.floor(turn), turn - math.floor(turn)
            for a in range(4):
                for b in range(4):
                    near = max(0, 1 - abs(u - a + 1.5)) * max(0, 1 - abs(v - b + 1.5))
                    out[a, b, first % 8] += vote * near * (1 - part)
                    out[a, b, (first + 1) % 8] += vote * near * part
    flat = out.ravel() / np.linalg.norm(out)
    flat = np.minimum(flat, 0.2)
    return flat / np.linalg.norm(flat)


def test_dense_sift_vote_by_vote():
    x = skimage.data.camera()[150:200, 200:255] / 255
    got = features.dense_sift(x, step=7, bin_size=4)
    assert got.shape == ((50 - 20) // 7 + 1, (55 - 20) // 7 + 1, 128)
    for r, c in ((0, 0), (2, 3), (4, 5)):
        np.testing.assert_allclose(got[r, c], loop_sift(x, 7 * r, 7 * c, 4), atol=2e-4)
    assert not features.dense_sift(np.full((40, 40), 0.5)).any()


def test_dense_sift_is_opencvs_at_fixed_keypoints():
    """OpenCV blurs to 1.6 first, measures angles upwards, rounds to bytes of 512 and keeps descriptors of flat places."""
    photo = skimage.data.camera()[150:290, 180:330]
    bin_size, step = 5, 9
    half = 5 * bin_size // 2
    got = features.dense_sift(cv2.GaussianBlur(photo.astype(np.float32), (0, 0), math.sqrt(1.6**2 - 0.5**2)) / 255,
                              step=step, bin_size=bin_size, threshold=0)
    places = [(r, c) for r in range(1, got.shape[0] - 1) for c in range(1, got.shape[1] - 1)]
    points = [cv2.KeyPoint(float(half + step * c), float(half + step * r), bin_size / 1.5, 0.0) for r, c in places]
    _, want = cv2.SIFT_create().compute(photo, points)
    want = want.reshape(-1, 4, 4, 8)[..., (-np.arange(8)) % 8].reshape(-1, 128)
    want = want / np.linalg.norm(want, axis=1, keepdims=True)
    mine = np.stack([got[r, c] for r, c in places])
    assert len(places) > 100
    assert (mine * want).sum(1).min() > 0.995
    np.testing.assert_allclose(mine, want, atol=0.04)


def test_batches_are_their_images():
    x = np.random.default_rng(0).random((37, 33, 41, 3), dtype=np.float32)
    for call in (features.hog, features.dense_sift, lambda v: features.hog(v, variant="skimage")):
        x.flags.writeable = False
        together = call(x)
        np.testing.assert_allclose(call(x.astype(np.float64)[::-1])[16], together[20], atol=1e-4)
        np.testing.assert_allclose(together[20], call(x[20]), atol=1e-6)
        assert together.dtype == np.float32


def stripes(n, seed=0):
    """Images with vertical or horizontal stripes under noise, and which."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = np.stack([np.sin(np.arange(32) * rng.uniform(0.5, 1) + rng.uniform(0, 6))[None].repeat(32, 0) for _ in y])
    x = np.where(y[:, None, None], x, x.transpose(0, 2, 1)) * 60 + 128 + rng.normal(0, 15, x.shape)
    return np.clip(x, 0, 255).astype(np.uint8), y


@pytest.mark.parametrize("make", [
    lambda: features.FilterBank(grid=2), lambda: features.FilterBank(kernels.edge_bank(4), size=24),
    lambda: features.EdgeHierarchy(size=None, lengths=(5, 9)), lambda: features.HOG(variant="skimage"), features.HOG,
    features.DenseSIFT, lambda: features.DenseSIFT(pool="max"), lambda: features.DenseSIFT(pool="mean", size=(40, 36)),
])  # fmt: skip
def test_transformers_keep_scikit_learns_rules(make):
    x, y = stripes(40)
    transformer = make()
    assert repr(clone(transformer)) == repr(transformer)
    found = transformer.fit_transform(x, y)
    names = transformer.get_feature_names_out()
    assert found.shape == (40, len(names)) and found.dtype == np.float32 and len(set(names)) == len(names)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(transformer.transform(list(x[3:5])), found[3:5], atol=1e-5)
    np.testing.assert_allclose(transformer.transform(x[3:5, ..., None].repeat(3, -1) / 255), found[3:5], atol=2e-3)
    assert pickle.loads(pickle.dumps(transformer)).transform(x[:1]).shape == (1, len(names))
    model = make_pipeline(clone(transformer), LogisticRegression(C=100, max_iter=500)).fit(x, y)
    assert model.score(*stripes(40, 1)) == 1.0


def test_pipelines_unions_and_searches():
    x, y = stripes(30)
    both = FeatureUnion([("hog", features.HOG()), ("edges", features.EdgeHierarchy(size=None, lengths=(9,)))])
    found = both.fit_transform(x, y)
    assert found.shape[1] == len(both.get_feature_names_out()) and "hog__block 0,0 cell 0,0 0°" in both.get_feature_names_out()
    search = GridSearchCV(make_pipeline(features.HOG(), LogisticRegression()), {"hog__cell": [8, 16]}, cv=2)
    assert search.fit(x, y).best_score_ > 0.9


def test_similarity_is_a_kernel_for_kernel_machines():
    x, y = stripes(40)
    phi = features.HOG().fit_transform(x)
    k = features.similarity(phi)
    np.testing.assert_allclose(np.diag(k), 1)
    np.testing.assert_allclose(k, k.T)
    assert np.linalg.eigvalsh(k).min() > -1e-9
    np.testing.assert_allclose(features.similarity(phi[:3], phi[5:9], normalise=False), phi[:3] @ phi[5:9].T, rtol=1e-5)
    assert SVC(kernel=features.similarity).fit(phi[:30], y[:30]).score(phi[30:], y[30:]) == 1.0
    assert not features.similarity(np.zeros((2, 3))).any()


def test_the_hierarchy_sees_long_lines_where_the_mean_edge_sees_none():
    """Long vertical lines against the same lines cut up and scattered: equal mean responses, unequal hierarchies."""
    rng = np.random.default_rng(0)
    long, scattered = np.zeros((20, 96, 96), np.uint8), np.zeros((20, 96, 96), np.uint8)
    for i in range(20):
        for column in rng.choice(np.arange(8, 90, 16), 3, replace=False):
            long[i, 8:88, column] = 200
        for _ in range(48):
            top, left = rng.integers(4, 86), rng.integers(4, 92)
            scattered[i, top : top + 5, left] = 200
    lines = features.EdgeHierarchy(angles=(90,), lengths=(25,), size=None, log=False).fit(long)
    a, b = lines.transform(long), lines.transform(scattered)
    assert a[:, 0].mean() == pytest.approx(b[:, 0].mean(), rel=0.15)
    assert a[:, 1].min() > 1.5 * b[:, 1].max()


@pytest.mark.parametrize(("call", "words"), [
    (lambda: features.hog(np.ones((10, 10)), cell=8), "no block"),
    (lambda: features.hog(np.ones((20, 20)), cell=0), "cell=0"),
    (lambda: features.hog(np.ones((20, 20)), norm="L3"), "L3"),
    (lambda: features.hog(np.full((20, 20), np.nan)), "NaN"),
    (lambda: features.hog(np.ones((20, 20)) * 1j), "complex"),
    (lambda: features.dense_sift(np.ones((10, 30))), "no descriptor"),
    (lambda: features.dense_sift(np.ones((30, 30)), step=0), "step=0"),
    (lambda: features.HOG().fit([np.ones((20, 20)), np.ones((20, 21))]).transform([np.ones((20, 21))]), "give size="),
    (lambda: features.FilterBank().fit([]), "no images"),
    (lambda: features.FilterBank(np.ones((3, 3))).fit(np.ones((2, 20, 20))), "bank"),
    (lambda: features.DenseSIFT(pool="sum").fit(np.ones((2, 30, 30))), "pool='sum'"),
    (lambda: features.similarity(np.ones((2, 3)), np.ones((2, 4))), "cannot be compared"),
])  # fmt: skip
def test_bad_input_is_one_line(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [features.HOG, features.EdgeHierarchy, features.FilterBank, features.DenseSIFT])
def test_scikit_learns_own_checks_that_need_no_table(make):
    """Its other checks feed tables (N, D), and leave out estimators that say they take images."""
    for name in ("check_parameters_default_constructible", "check_no_attributes_set_in_init", "check_get_params_invariance",
                 "check_set_params", "check_estimator_repr", "check_estimator_cloneable"):
        getattr(estimator_checks, name)(make.__name__, make())
