"""Autoencoders and their uses: anomalies, features, segmentation, synthesis, the lecture's scale. Needs HUBEL_DATA.

    python bench/autoencode.py [anomalies cifar features features-cifar segment synthesise lecture] [--quick]

Nothing here is timed against others; seconds are CPU seconds of this process. --quick: a tenth of the images, no record.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _table import append_results, markdown
from hubel import autoencode as ae
from hubel import data, features, model
from hubel.autoencode.anomalies import Neighbourhood
from hubel.model.preprocess import Preprocess
from hubel.nets import build
from hubel.training import augment
from hubel.training.recipes import mnist, mnist_fine

HOME = Path(os.environ.get("HUBEL_DATA", "../shared/data"))


def images(name: str, train: int, test: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """(x, y, x test, y test, classes): the first so many of MNIST, or of CIFAR-10's sheets (every fifth for testing)."""
    if name == "mnist":
        source = data.load(HOME / "mnist")
        return (source.train.arrays()[:train], source.train.labels[:train], source.test.arrays()[:test],
                source.test.labels[:test], source.train.classes)
    from PIL import Image

    sheets = sorted((HOME / "cifar10" / "train").glob("*-0.webp"))
    parts = [np.asarray(Image.open(s).convert("RGB")).reshape(25, 32, 100, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
             for s in sheets]
    x, y = np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    order = np.random.default_rng(0).permutation(len(x))
    held, learn = order[::5][:test], np.delete(order, np.arange(0, len(order), 5))[:train]
    return x[learn], y[learn], x[held], y[held], tuple(s.name.split("-")[0] for s in sheets)


def classifier(x: np.ndarray, y: np.ndarray, recipe: Any = mnist, **options: Any) -> model.Model:
    """The recipe `mnist` or `mnist_fine` on these digits, whichever their labels, as a Model."""
    labels = torch.from_numpy(np.unique(y, return_inverse=True)[1])
    net, _ = recipe.train(torch.from_numpy(x).permute(0, 3, 1, 2), labels, verbose=0, **options)
    return model.Model(net, size=28, channels=1, mean=recipe.MEAN, std=recipe.STD)


def anomalies(share: float, only: list[int] | None = None, best: bool = False) -> None:
    x, y, xt, yt, names = images("mnist", int(60_000 * share), int(10_000 * share))
    cost: dict[str, float] = {}

    def learn(normal: np.ndarray, labels: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
        some, theirs = normal[: len(normal) // 3], labels[: len(normal) // 3]

        def by_coder() -> dict[str, np.ndarray]:
            coder = ae.build("convolutional", 28, 1, 16)
            coder.fit(some, epochs=1, batch_size=64, verbose=0)
            return {"mean squared error": coder.error(test), "codes": ae.detector(some, coder=coder, by="codes").score(test),
                    "reconstruction": ae.detector(some, coder=coder, by="reconstruction").score(test)}

        def by_logits() -> np.ndarray:
            careful = classifier(some, theirs, mnist_fine, epochs=4, label_smoothing=0.0, augment=augment.get("digit", (28, 28)))
            return ae.detector(some, model=careful).score(test)

        found = {"gradients": timed(cost, "gradients", lambda: ae.detector(normal).score(test)), "logits": timed(cost, "logits", by_logits)}
        if best:
            return found
        pixels = Neighbourhood(some[:10_000].reshape(-1, 784) / 255)
        return {**timed(cost, "coder", by_coder), "pixels": pixels.score(test.reshape(-1, 784) / 255),
                "features": ae.detector(some, model=classifier(some, theirs), by="features").score(test), **found}

    journal = Path(os.environ.get("HUBEL_BENCH_OUT", tempfile.gettempdir())) / f"anomalies-mnist-{len(x)}{'-best' * best}.json"  # a class at a time
    done: dict[str, Any] = json.loads(journal.read_text()) if journal.exists() else {}
    for c in range(10) if only is None else only:
        if str(c) not in done:
            cost.clear()
            one = ae.leave_one_out((x, y), (xt, yt), learn, classes=names, only=[c], verbose=2)
            done[str(c)] = {"values": {way: v[0] for way, v in one.values.items()}, "cost": dict(cost)}
            journal.write_text(json.dumps(done))
    if len(done) < 10:
        return
    kept = [done[str(c)] for c in range(10)]
    ways = [way for way in kept[0]["values"] if all(way in k["values"] for k in kept)]
    found = ae.LeftOut(names, {way: tuple(k["values"][way] for k in kept) for way in ways}, len(xt))
    spent = ", ".join(f"{way} {sum(k['cost'][way] for k in kept) / 10:.0f}" for way in kept[-1]["cost"])
    journal.unlink()
    others = "" if best else (
        "Also without labels: mean squared error and reconstruction (divided by contrast) of a convolutional autoencoder, 16 latents, one "
        "epoch; codes: relative distance to the 5 nearest of 10,000 normal codes; pixels: the same without any learning. With labels: "
        "features: relative distance by a classifier's features (recipe `mnist`). ")
    _left_out("Autoencoders: anomalies, MNIST" + (", the best ways" if best else ""), found, (
        f"AUROC on {len(xt):,} of MNIST's test digits, one class left out of the learning. Without labels: gradients: what `detector` does "
        f"when it is given normal images alone, here {len(x):,} training digits less the class left out. With the labels of the nine "
        "classes: logits: minus the largest logit of `mnist_fine`, 4 epochs of a third of them with augmentation and without label "
        f"smoothing. {others}Gradients' cells, roots and neighbours, and the training for logits, were chosen on training images with 1 "
        "and 4 (logits) or 0, 1, 3, 4 and 8 (gradients) left out; the means of the other classes: gradients "
        f"{_mean_but(found, 'gradients', (0, 1, 3, 4, 8)):.3f}, logits {_mean_but(found, 'logits', (1, 4)):.3f}. One seed. CPU seconds a "
        f"class: {spent}."), share)


def timed(cost: dict[str, float], name: str, call: Callable[[], Any]) -> Any:
    began = time.process_time()
    found = call()
    cost[name] = cost.get(name, 0.0) + time.process_time() - began
    return found


def _mean_but(found: ae.LeftOut, way: str, classes: tuple[int, ...]) -> float:
    return float(np.mean([v for c, v in enumerate(found.values[way]) if c not in classes]))


def cifar(share: float) -> None:
    x, y, xt, yt, names = images("cifar", int(10_000 * share), int(2_500 * share))
    began = time.process_time()
    net = model.pretrained()
    net.preprocess = Preprocess((96, 96), 3, net.preprocess.mean, net.preprocess.std)
    some = np.random.default_rng(1).permutation(len(x))[: int(8000 * share)]
    known, asked = (net.features(a, precision="auto") for a in (x[some], xt))
    place = {tuple(image[:2].ravel()[:60]): i for i, image in enumerate(x[some])}
    near = Neighbourhood

    def learn(normal: np.ndarray, labels: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
        coder = ae.build("convolutional", 32, 3, 64)
        coder.fit(normal, epochs=2, batch_size=64, verbose=0)
        rows = [place[k] for k in (tuple(image[:2].ravel()[:60]) for image in normal) if k in place]
        mean, spread = known[rows].mean(0), known[rows].std(0).clip(1e-6)
        pixels = near(normal[:8000].reshape(-1, 3072) / 255)
        return {"mean squared error": coder.error(test), "reconstruction": ae.detector(normal, coder=coder, by="reconstruction").score(test),
                "pixels": pixels.score(test.reshape(-1, 3072) / 255),
                "codes": ae.detector(normal, coder=coder, by="codes").score(test), "gradients": ae.detector(normal).score(test),
                "features": near((known[rows] - mean) / spread).score((asked - mean) / spread)}

    found = ae.leave_one_out((x, y), (xt, yt), learn, classes=names, verbose=2)
    _left_out("Autoencoders: anomalies, CIFAR-10", found, (
        f"As for MNIST, on {len(xt):,} of CIFAR-10's images, {len(x):,} to learn from less the class left out; 64 latents, two "
        "epochs. features: EfficientNet-Lite0's at 96 px, relative distance to 7,200 normal images; it learned from ImageNet's "
        f"labels, among which are cars, ships, dogs and birds. {(time.process_time() - began) / 10:.0f} CPU seconds a class."), share)


def _left_out(section: str, found: ae.LeftOut, note: str, share: float) -> None:
    ways = list(found.values)
    rows = [[c, *(f"{found.values[w][i]:.3f}" for w in ways)] for i, c in enumerate(found.classes)]
    share = share if len(found.classes) == 10 else 0.0
    rows.append(["mean", *(f"**{found.means[w]:.3f}**" for w in ways)])
    _record(section, ["left out", *ways], rows, note, share)


def probes(share: float) -> None:
    x, y, xt, yt, _ = images("mnist", int(10_000 * share), int(4000 * share))
    coders = {name: ae.build(kind, 28, 1, 32) for name, kind in (("dense autoencoder", "dense"), ("convolutional autoencoder",
              "convolutional"), ("variational autoencoder", "variational"))}
    random = ae.build("convolutional", 28, 1, 32)
    for coder in coders.values():
        coder.fit(x, epochs=3, batch_size=64, verbose=0)
    some = slice(None, int(10_000 * share))
    hog = features.HOG(size=28)
    known = classifier(x, y)
    flat = (x[some].reshape(len(x[some]), -1) / 255, xt.reshape(len(xt), -1) / 255)
    kinds = {"pixels": flat, "PCA, 32": _pca(*flat, 32), "HOG, by hand": tuple(hog.fit(a).transform(a) for a in (x[some], xt)),
             "untrained encoder": (random.encode(x[some]), random.encode(xt)),
             **{name: (c.encode(x[some]), c.encode(xt)) for name, c in coders.items()},
             "supervised": (known.features(x[some]), known.features(xt))}
    _table("Autoencoders: features, MNIST", ae.probe(kinds, y[some], yt), (
        f"Autoencoders of 32 latents learned from {len(x):,} digits without labels, 3 epochs; supervised: the recipe `mnist` on "
        "the same digits with their labels."), share)


def probes_cifar(share: float) -> None:
    x, y, xt, yt, _ = images("cifar", int(10_000 * share), int(2000 * share))
    coders = {"convolutional autoencoder": ae.build("convolutional", 32, 3, 128),
              "variational autoencoder": ae.build("variational", 32, 3, 128)}
    random = ae.build("convolutional", 32, 3, 128)
    for coder in coders.values():
        coder.fit(x, epochs=3, batch_size=64, verbose=0)
    known = model.Model(build("small_resnet", 10, 3, seed=0, width=16), size=32, channels=3, mean=0.5, std=0.25)
    known.compile("muon", metrics=())
    known.fit(x, y, epochs=3, batch_size=128, verbose=0, augment="image", kind="image")
    some = slice(None, int(5000 * share))
    flat = (x[some].reshape(len(x[some]), -1) / 255, xt.reshape(len(xt), -1) / 255)
    lite = model.pretrained()
    lite.preprocess = Preprocess((96, 96), 3, lite.preprocess.mean, lite.preprocess.std)
    hog = features.HOG(size=32)
    kinds = {"pixels": _pca(*flat, 512), "HOG, by hand": tuple(hog.fit(a).transform(a) for a in (x[some], xt)),
             "untrained encoder": (random.encode(x[some]), random.encode(xt)),
             **{name: (c.encode(x[some]), c.encode(xt)) for name, c in coders.items()},
             "supervised, these images": (known.features(x[some]), known.features(xt)),
             "supervised, ImageNet": tuple(lite.features(a, precision="auto") for a in (x[some], xt))}
    _table("Autoencoders: features, CIFAR-10", ae.probe(kinds, y[some], yt, draws=10), (
        f"Autoencoders of 128 latents learned from {len(x):,} images without labels, 3 epochs; supervised: a small residual network "
        "(width 16), 3 epochs on the same images with their labels, and EfficientNet-Lite0 at 96 px. Pixels by their first 512 "
        "principal components (logistic regression on all 3,072 takes long and is not better)."), share)


def _pca(a: np.ndarray, b: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import PCA

    found = PCA(count, svd_solver="randomized", random_state=0).fit(a)
    return found.transform(a), found.transform(b)


def _table(section: str, found: ae.FeatureTable, note: str, share: float) -> None:
    head, body = found.cells()
    _record(section, head, body, f"Test accuracy on {found.tested:,} images. {note} Few labels: nearest class mean by angle, "
            f"mean ± deviation over {found.draws} draws.", share)


def segment(share: float) -> None:
    digits, _, others, _, _ = images("mnist", 20_000, 2000)
    unlabelled, _ = ae.digit_scenes(digits, int(2000 * share), 64, seed=1)
    x, masks = ae.digit_scenes(digits, 100, 64, seed=2)
    xt, true = ae.digit_scenes(others, int(200 * share), 64, seed=3)
    coder = ae.build("convolutional", 64, 3, 128, width=16)
    coder.fit(unlabelled, epochs=4, batch_size=32, verbose=0)
    lite = model.pretrained()
    lite.preprocess = Preprocess((64, 64), 3, lite.preprocess.mean, lite.preprocess.std)
    ways = {"U-net, fresh encoder": lambda n: _unet(None, x[:n], masks[:n], xt), "U-net, autoencoder's encoder": lambda n: _unet(coder, x[:n], masks[:n], xt),
            "forest of hand-made features a pixel": lambda n: _forest(x[:n], masks[:n], xt),
            "nearest mean of EfficientNet-Lite0's maps": lambda n: _nearest(lite, x[:n], masks[:n], xt),
            "nearest mean of the autoencoder's maps": lambda n: _nearest(coder, x[:n], masks[:n], xt)}
    rows = []
    for name, way in ways.items():
        rows.append([name, *(f"{ae.iou(way(n), true, 2)[1]:.3f}" for n in (5, 20, 100))])
        print(rows[-1], flush=True)
    for name, found in (("2 clusters of colours, each image alone", np.stack([_two_colours(i) for i in xt])),
                        ("GrabCut (OpenCV) from the inner nine tenths", np.stack([_grab_cut(i) for i in xt])),
                        ("everything is digit", np.ones_like(true))):
        rows.append([f"no masks: {name}", f"{ae.iou(found, true, 2)[1]:.3f}", "", ""])
        print(rows[-1], flush=True)
    for name, net in (("the autoencoder's maps", coder), ("EfficientNet-Lite0's maps", lite)):
        found = ae.clusters(net, xt, 2, masks=true)
        rows.append([f"no masks: 2 clusters of {name}, all images together", f"{found.iou[1]:.3f}", "", ""])  # type: ignore[index]
    _record("Autoencoders: segmentation", ["IoU of the digit, by masks to learn from", "5", "20", "100"], rows, (
        f"{len(xt)} made scenes of 64 x 64: MNIST's test digits in random colours, sometimes the ground's, on textured grounds "
        f"(`digit_scenes`). The autoencoder learned from {len(unlabelled):,} scenes without masks; each U-net makes 600 steps "
        "(`fit_masks` as it is). Forest: 100 trees of scikit-learn on Gaussians, gradients, Laplacians and Hessians of each channel at four "
        "scales. Clusters of colours: the one with more of the border is ground."), share)


def _unet(coder: ae.Autoencoder | None, x: np.ndarray, masks: np.ndarray, xt: np.ndarray) -> np.ndarray:
    net = ae.segmenter(2, coder=coder, size=64, channels=3, **({"width": 16} if coder is None else {}))
    ae.fit_masks(net, x, masks, verbose=0)
    return ae.segments(net, xt)


def _nearest(net: model.Model, x: np.ndarray, masks: np.ndarray, xt: np.ndarray) -> np.ndarray:
    """The class whose mean feature is nearer; features of all images are found together, so that their scale is one."""
    from hubel.autoencode.clusters import dense_features

    rows, (h, w) = dense_features(net, torch.from_numpy(np.concatenate([x, xt])).permute(0, 3, 1, 2).float() / 255)
    known = np.repeat(np.repeat(rows.reshape(-1, h, w, rows.shape[1])[: len(x)], 64 // h, 1), 64 // w, 2)
    means = np.stack([known[masks == c].mean(0) for c in (0, 1)])
    off = ((rows[len(x) * h * w :, None] - means) ** 2).sum(2).argmin(1).reshape(-1, h, w)
    return np.repeat(np.repeat(off, 64 // h, 1), 64 // w, 2)


def _forest(x: np.ndarray, masks: np.ndarray, xt: np.ndarray) -> np.ndarray:
    from scipy import ndimage
    from sklearn.ensemble import RandomForestClassifier

    def rows(batch: np.ndarray) -> np.ndarray:
        a, found = batch.astype(np.float32) / 255, []
        for sigma in (0.7, 1.0, 1.6, 3.5):
            s = (0, sigma, sigma, 0)
            orders = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
            d = {o: ndimage.gaussian_filter(a, s, order=(0, *o, 0)) for o in orders}
            trace, det = d[2, 0] + d[0, 2], d[2, 0] * d[0, 2] - d[1, 1] ** 2
            root = np.sqrt(np.maximum(trace**2 / 4 - det, 0))
            found += [d[0, 0], np.hypot(d[1, 0], d[0, 1]), trace, trace / 2 + root, trace / 2 - root]
        return np.concatenate(found, axis=3).reshape(-1, 60)

    draw = np.random.default_rng(0)
    learn, labels = rows(x), masks.ravel()
    some = draw.permutation(len(learn))[:60_000]
    forest = RandomForestClassifier(100, min_samples_leaf=3, class_weight="balanced_subsample", random_state=0).fit(learn[some], labels[some])
    return forest.predict(rows(xt)).reshape(xt.shape[:3])


def _two_colours(image: np.ndarray) -> np.ndarray:
    from sklearn.cluster import KMeans

    found = KMeans(2, n_init=2, random_state=0).fit_predict(image.reshape(-1, 3).astype(np.float32)).reshape(image.shape[:2])
    return found ^ round(_border(found).mean())


def _border(a: np.ndarray) -> np.ndarray:
    return np.concatenate([a[0], a[-1], a[:, 0], a[:, -1]])


def _grab_cut(image: np.ndarray) -> np.ndarray:
    import cv2

    mask, height = np.zeros(image.shape[:2], np.uint8), len(image)
    inset = height // 20
    box = (inset, inset, image.shape[1] - 2 * inset, height - 2 * inset)
    cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), mask, box, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_RECT)
    return (mask & 1).astype(np.int64)


def synthesis(share: float) -> None:
    x, y, xt, _, _ = images("mnist", int(15_000 * share), int(4000 * share))
    judge = classifier(x, y)
    rows = []
    for kind, latents in (("variational", 16), ("convolutional", 16)):
        coder = ae.build(kind, 28, 1, latents)
        coder.fit(x, epochs=3, batch_size=64, verbose=0)
        for how, like in (("normal distribution", None), ("mixture fitted to codes", x[:5000])):
            if kind == "convolutional" and like is None:
                continue
            found = ae.quality(coder, xt, model=judge, count=len(xt) // 2, like=like)
            rows.append([f"{kind}, {how}", *(f"{v:.2f}" for v in (found.synthesised, found.reconstructed, found.real, found.noise))])
            print(rows[-1], flush=True)
    _record("Autoencoders: synthesis", ["autoencoder, codes from", "synthesised", "reconstructed", "other real digits", "noise"], rows, (
        f"Fréchet distances to {len(xt) // 2:,} MNIST test digits by the features of the recipe `mnist` (1,024, before the last layer), "
        f"in units of their mean variance. {latents} latents, 3 epochs of {len(x):,}. They compare these rows only: no published "
        "FID is measured so."), share)


def lecture(share: float) -> None:
    source = data.load(HOME / "caltech101", limit=int(2000 * share))
    x, xt = (part.arrays((128, 128), 3) for part in (source.train, source.test))
    rows = []
    folder = Path(os.environ.get("HUBEL_BENCH_OUT", tempfile.gettempdir()))
    for name, latents in (("16 x 16 x 4, the usual code", None), ("1,024 in a row", 1024)):
        coder = ae.build("convolutional", 128, 3, latents)
        began = time.process_time()
        checkpoint = folder / f"lecture-{len(x)}-{latents}.training"
        coder.fit(x, epochs=16, batch_size=32, verbose=2, augment="image", checkpoint=checkpoint)
        found = ae.reconstructions(coder, xt)
        rows.append([f"convolutional, {name}", f"{found.psnr.mean():.2f} dB", f"{time.process_time() - began:.0f} s"])
        print(rows[-1], flush=True)
        coder.save(folder / f"lecture-{latents}.hubel")
        checkpoint.unlink(missing_ok=True)
    rows.append([f"PCA, {min(1024, len(x) - 1):,}", f"{_pca_psnr(x, xt, min(1024, len(x) - 1)):.2f} dB", ""])
    _record("Autoencoders: the lecture's scale", ["128 x 128 colour, 49,152 numbers; the code", "PSNR, held out", "CPU"], rows,
            f"Caltech 101: {len(x):,} photos to learn from (mirrored, shifted), 16 epochs, {len(xt)} held out. {coder.bottleneck}.", share)


def _pca_psnr(x: np.ndarray, xt: np.ndarray, count: int) -> float:
    rows, others = (a.reshape(len(a), -1).astype(np.float32) / 255 for a in (x, xt))
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh((rows - mean) @ (rows - mean).T)
    keep = values.argsort()[::-1][:count]
    basis = (vectors[:, keep].T @ (rows - mean)) / np.sqrt(values[keep].clip(1e-9))[:, None]
    back = np.clip((others - mean) @ basis.T @ basis + mean, 0, 1)
    return float((-10 * np.log10(((back - others) ** 2).mean(1))).mean())


def _record(section: str, head: list[str], rows: list[list[str]], note: str, share: float) -> None:
    text = markdown(head, rows, note)
    print(f"\n## {section}\n\n{text}", flush=True)
    if share == 1:
        append_results(section, text)


PARTS = {"anomalies": anomalies, "cifar": cifar, "features": probes, "features-cifar": probes_cifar,
         "segment": segment, "synthesise": synthesis, "lecture": lecture}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS), choices=[*PARTS, []])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", type=int, nargs="*", help="anomalies: leave out these classes now; the record is written once all have had their turn")
    parser.add_argument("--best", action="store_true", help="anomalies: the two best ways alone")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", ae.BottleneckWarning)
    for part in chosen.parts:
        share = 0.1 if chosen.quick else 1.0
        PARTS[part](share, chosen.only, chosen.best) if part == "anomalies" else PARTS[part](share)
