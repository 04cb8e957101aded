"""The compiled ways against torch in float64: random shapes, layouts, borders, dilation, types, threads and processors."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hubel.convolve import _borders, _direct, _engine, _fourier, _native, _separable, correlate

compiled = pytest.mark.skipif(not _native.available(), reason="nothing was compiled here")
MODES = ["zeros", "nearest", "symmetric", "mirror", "wrap"]


def reference(x, w, mode, pads, dilation):
    """torch's convolution of a padded copy, in float64."""
    return _engine.run(_borders.pad(x.double(), mode, pads), w.double(), (1,) * len(pads), dilation)


@st.composite
def problems(draw, most=(60, 40, 12)):
    dims = draw(st.integers(1, 3))
    k = [draw(st.integers(1, (70, 9, 4)[dims - 1])) for _ in range(dims)]
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(dims))
    shape = [(n - 1) * d + draw(st.integers(1, most[dims - 1])) for n, d in zip(k, dilation, strict=True)]
    pads = [(draw(st.integers(0, n + 2)), draw(st.integers(0, n + 2))) for n in k] if draw(st.booleans()) else [(0, 0)] * dims
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    kind = draw(st.sampled_from(["grey", "each", "summed"]))
    channels = 1 if kind == "grey" else draw(st.integers(2, 4))
    filters = 1 if kind == "each" else draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    x = torch.from_numpy(rng.standard_normal((draw(st.integers(1, 3)), channels, *shape))).to(dtype)
    if draw(st.booleans()):
        x = (x * 60 + 120).clamp(0, 255).to(torch.uint8)
    memory = draw(st.sampled_from(["plain", "channels last", "every other", "transposed"]))
    if memory == "channels last":
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    elif memory == "every other":
        x = x.repeat_interleave(2, -1)[..., ::2]
    elif memory == "transposed":
        x = x.transpose(0, -1).contiguous().transpose(0, -1)
    w = torch.from_numpy(rng.standard_normal((filters, channels if kind == "summed" else 1, *k))).to(dtype)
    return x, w, draw(st.sampled_from(MODES)), pads, dilation


@compiled
@settings(max_examples=150, deadline=None)
@given(problems(), st.sampled_from([_direct, _fourier]))
def test_compiled_ways_are_torchs_convolution(problem, way):
    x, w, mode, pads, dilation = problem
    want = reference(*problem)
    got = way.run(x, w, mode, pads, dilation)
    assert got.shape == want.shape and got.dtype == w.dtype
    bound = (1e-10 if w.dtype == torch.float64 else 1e-6) * float(x.double().abs().max()) * float(w[0].double().abs().sum())
    assert float((got.double() - want).abs().max()) <= max(bound, 1e-30)


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(1, 2), st.booleans())
def test_passes_are_the_kernel_they_add_up_to(problem, rank, without):
    x, w, mode, pads, dilation = problem
    rank, dims = (1 if x.ndim == 5 else rank), x.ndim - 2
    rng = np.random.default_rng(rank)
    factors = [[rng.standard_normal(k).astype(str(w.dtype)[6:]) for k in w.shape[2:]] for _ in range(rank if dims > 1 else 1)]
    kernels = [torch.from_numpy(np.multiply.outer(np.multiply.outer(*f[:2]), f[2]) if dims == 3 else
                                np.multiply.outer(*f) if dims == 2 else f[0]) for f in factors]
    with pytest.MonkeyPatch.context() as patch:
        if without:
            patch.setattr(_native, "library", lambda: None)
        got = _separable.run(x, factors, mode, pads, dilation)
    want = reference(x, sum(kernels)[None, None], mode, pads, dilation)
    bound = 2e-6 * float(x.double().abs().max()) * sum(float(k.abs().sum()) for k in kernels)
    assert got.shape == want.shape and float((got.double() - want).abs().max()) <= max(bound, 1e-30)


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from([_direct, _fourier]))
def test_without_a_compiler_the_answers_are_the_same(problem, way):
    x, w, mode, pads, dilation = problem
    want = reference(*problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_native, "library", lambda: None)
        got = way.run(x, w, mode, pads, dilation)
    bound = (1e-10 if w.dtype == torch.float64 else 2e-6) * float(x.double().abs().max()) * float(w[0].double().abs().sum())
    assert got.shape == want.shape and float((got.double() - want).abs().max()) <= max(bound, 1e-30)


ANSWERS = """
import sys, numpy as np
from hubel.convolve import correlate
r, out = np.random.default_rng(0), []
for d in ("float32", "float64"):
    for k in (1, 2, 3, 4, 5, 8, 21):
        x, w = r.standard_normal((70, 101)).astype(d), r.standard_normal((k, k)).astype(d)
        out += [correlate(x, w, "mirror", method=m) for m in ("direct", "fft")]
        out += [correlate(x, np.outer(w[0], w[:, 0]), "wrap", method="separable")]
"""


@compiled
@pytest.mark.parametrize("most", ["plain", "avx2"])
def test_every_instruction_set_agrees(most, tmp_path):
    """What this processor takes, and less in a process by itself: the same answers but for rounding."""
    here: dict = {}
    exec(ANSWERS, here)
    subprocess.run([sys.executable, "-c", ANSWERS + "np.savez(sys.argv[1], *out)", str(tmp_path / "out.npz")], check=True,
                   env={**os.environ, "HUBEL_SIMD": most})
    with np.load(tmp_path / "out.npz") as arrays:
        for a, b in zip(here["out"], (arrays[name] for name in arrays.files), strict=True):
            assert np.abs(a - b).max() <= (2e-5 if a.dtype == np.float32 else 1e-12) * np.abs(a).max()


def test_rounding_and_saturation_in_every_way():
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    for w in (torch.tensor([[[[1.5]]]]), torch.tensor([[[[-1.0]]]]), torch.tensor([[[[0.5]]]]), torch.ones(1, 1, 3, 3)):
        same = [((k - 1) // 2, k // 2) for k in w.shape[2:]]
        want = np.clip(np.rint(reference(x, w, "zeros", same, (1, 1)).numpy()), 0, 255)
        for method in ("auto", "direct", "fft", "engine", "separable"):
            got = correlate(x.numpy()[0, 0], w.numpy()[0, 0], "same", dtype=np.uint8, method=method)
            off = np.abs(got.astype(int) - want[0, 0])
            assert got.dtype == np.uint8 and (off.max() == 0 or (method == "fft" and off.max() <= 1))
    assert correlate(np.array([np.nan, 300, -5, 2.5]), np.ones(1), dtype=np.uint8).tolist() == [0, 255, 0, 2]


def test_many_threads_may_call_at_once():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((300, 400)).astype(np.float32), rng.standard_normal((9, 9)).astype(np.float32)
    want = {m: correlate(x, w, method=m) for m in ("direct", "fft")}
    wrong = []

    def call(method):
        for _ in range(20):
            if not np.array_equal(correlate(x, w, method=method), want[method]):
                wrong.append(method)

    threads = [threading.Thread(target=call, args=(m,)) for m in ("direct", "fft") * 3]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_threads_of_its_own():
    x, w = np.ones((400, 400), np.float32), np.ones((5, 5), np.float32)
    correlate(x, w, method="direct")
    script = ("import os, numpy as np; from hubel.convolve import correlate\n"
              "x, w = np.ones((400, 400), np.float32), np.ones((5, 5), np.float32)\n"
              "correlate(x, w, method='direct'); child = os.fork()\n"
              "assert (correlate(x, w, method='direct') == 25).all()\n"
              "if child: assert os.waitpid(child, 0)[1] == 0\n"
              "else: os._exit(0)")
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@compiled
def test_bands_tiles_and_pairs_of_large_inputs_join_without_seams():
    rng = np.random.default_rng(5)
    for shape, k in (((1, 1, 700, 900), (21, 17)), ((1, 1, 9001), (150,)), ((1, 1, 40, 70, 90), (5, 6, 7)),
                     ((3, 2, 130, 131), (9, 9)), ((1, 1, 3, 20000), (3, 5))):
        x = torch.from_numpy(rng.standard_normal(shape))
        w = torch.from_numpy(rng.standard_normal((2 if shape[1] == 1 else 1, 1, *k)))
        pads = [((n - 1) // 2, n // 2) for n in k]
        want = reference(x, w, "mirror", pads, (1,) * len(k))
        for way in (_direct, _fourier):
            torch.testing.assert_close(way.run(x, w, "mirror", pads, (1,) * len(k)), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("shape", "k"), [((300, 280), (260, 270)), ((64, 64), (64, 64)), ((6000,), (5000,)), ((3, 5), (3, 5))])
@pytest.mark.parametrize("tiles", [True, False])
def test_kernels_nearly_as_large_as_the_image(shape, k, tiles, monkeypatch):
    if not tiles:  # what happens with kernels for which no tile is found
        monkeypatch.setattr(_native, "tiling", lambda *_: None)
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal(shape), rng.standard_normal(k)
    want = reference(torch.from_numpy(x)[None, None], torch.from_numpy(w)[None, None], "zeros", [(0, 0)] * len(k), (1,) * len(k))
    np.testing.assert_allclose(correlate(x, w, method="fft"), want[0, 0], rtol=0, atol=1e-9)


@compiled
def test_values_whose_transform_overflows_are_computed_all_the_same():
    x, w = np.full((90, 90), 3e38, np.float32), np.full((30, 30), 1e-3, np.float32)
    np.testing.assert_allclose(correlate(x, w, method="fft"), 2.7e38, rtol=1e-4)
