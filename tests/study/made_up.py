"""Facts of a study that never was, with pictures, so that the report can be tested without training anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def made_up_facts(folder: Path, classes: int = 10) -> dict[str, Any]:
    """Facts as `hubel.study.run` makes them; the pictures are written to `folder`/pictures."""
    rng = np.random.default_rng(0)
    images = (load_digits().images * (255 / 16)).astype(np.uint8)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)

    def picture(array: np.ndarray) -> str:
        name = f"pictures/{len(list((folder / 'pictures').iterdir()))}.png"
        Image.fromarray(array).save(folder / name)
        return name

    def digit() -> str:
        return picture(images[rng.integers(len(images))])

    def change() -> str:
        return picture(rng.integers(0, 255, (8, 8), dtype=np.uint8))

    names = [str(i) for i in range(10)] if classes == 10 else [f"class <{i}> & co" for i in range(classes)]
    confusion = np.diag(rng.integers(30, 37, classes))
    for _ in range(classes):
        confusion[tuple(rng.integers(0, classes, 2))] += 1
    n, correct = int(confusion.sum()), int(np.trace(confusion))
    recall = np.diag(confusion) / confusion.sum(1)
    precision = np.diag(confusion) / confusion.sum(0)
    epochs = 12
    val = [1 - 0.5 * math.exp(-i / 2) - .01 for i in range(epochs)]
    eps = [k / 255 for k in (0, 2, 4, 8, 12, 16, 24, 32, 48, 64)]
    worst = [0.98, .97, .94, .83, .7, .55, .25, .1, .03, 0.]
    per_class = [{"class": c, "n": int(confusion[i].sum()), "precision": float(precision[i]), "recall": float(recall[i]),
                  "f1": float(2 * precision[i] * recall[i] / (precision[i] + recall[i]))} for i, c in enumerate(names)]
    return {
        "hubel": "0.1.0", "notes": [{"stage": "decisions", "message": "a made-up failure <b>in one line</b>"}],
        "study": {"source": "digits", "out": "hubel-study-digits", "seed": 0, "device": "cpu", "minutes": None,
                  "command": "hubel study digits --seed 0 --out hubel-study-digits", "test_words": "the test images",
                  "sizes_words": "chosen for this network on two cores"},
        "data": {"name": "digits", "kind": "digit", "classes": names, "size_text": "8 × 8 grey pixels",
                 "small": True, "split": "stratified", "seed": 0, "test_share": .2, "fingerprint": "0123abcd",
                 "train": {"images": 1437, "per_class": [140] * classes}, "test": {"images": n, "per_class": [36] * classes},
                 "examples": [{"class": c, "picture": digit()} for c in names[:20]],
                 "skipped": [{"path": "a/<b>.jpg", "reason": "is empty (0 bytes)"}],
                 "leaks": {"exact": 1, "near": 2, "images": 3, "shown": [
                     {"pictures": [digit(), digit()], "small": True, "text": "3, nearly the same"} for _ in range(3)]}},
        "model": {"about": "a small residual network of 77k parameters", "file": "hubel-study-digits/model.hubel",
                  "hash": "89abcdef", "parameters": 77_034, "parameters_text": "77k", "layers": [
                      {"name": f"block{i}.conv", "kind": "Conv2d 3×3", "output": "32 × 8 × 8", "parameters": 9216,
                       "dense": 4194304} for i in range(12)]},
        "training": {"epochs": epochs, "images": 1437, "seconds_text": "6.3 s", "minutes": None,
                     "recipe": "One-cycle schedule, label smoothing 0.1, shifts and turns.", "held_out": "held out",
                     "note": "Epochs of 1,293 images; 144 were held out of training.",
                     "history": {"accuracy": [v - .02 for v in val], "val_accuracy": val,
                                 "loss": [2.3 * math.exp(-i / 3) + .4 for i in range(epochs)],
                                 "val_loss": [2.2 * math.exp(-i / 3) + .35 for i in range(epochs)]}},
        "evaluation": {"n": n, "correct": correct, "accuracy": correct / n, "interval": [correct / n - .02, 0.995],
                       "classes": names, "majority": {"class": names[3], "accuracy": .103}, "confidence": .97,
                       "per_class": per_class, "confusion": confusion.tolist(), "without_leaks": None,
                       "confused": [{"true": names[8], "predicted": names[1], "count": 3},
                                    {"true": names[9], "predicted": names[4], "count": 2}],
                       "mistakes": [{"true": names[8], "predicted": names[1], "confidence": .97, "truth": .01,
                                     "picture": digit(), "index": i} for i in range(12)]},
        "look": {"filters": {"count": 32, "size_text": "3 × 3", "channels": 1, "pictures": [
                     picture(rng.integers(0, 255, (3, 3), dtype=np.uint8)) for _ in range(32)],
                     "finding": "19 of 32 filters are edges.", "detail": "Each on its own scale."},
                 "exciting": {"images": 360, "k": 6, "layers": [
                     {"layer": "block2.conv", "small": True, "finding": "Units of a middle layer like strokes.",
                      "detail": "Six pieces for each of eight units.", "units": [
                          {"pictures": [digit() for _ in range(6)], "text": f"unit {u}: 5 of 6 are {u}"}
                          for u in range(8)]}]},
                 "classes": {"small": True, "images": 359, "indices": list(range(10)), "steps": 128,
                             "finding": "What each class wants.",
                             "detail": "Made from noise in 128 steps.", "shown": [
                                 {"class": c, "picture": change(), "text": "99% sure"} for c in names[:10]]},
                 "decisions": {"small": True, "indices": [1, 2, 3], "finding": "Strokes decide.",
                               "detail": "Absolute scale.",
                               "examples": [{"true": names[3], "predicted": names[i % 2 + 3], "confidence": .9,
                                             "pictures": [digit(), change(), change()]} for i in range(6)]}},
        "attack": {"norm": "linf", "points": 128, "steps": 20, "attack_text": "PGD (20 steps)", "eps": eps, "worst": worst,
                   "worst_interval": [[max(0, w - .08), min(1, w + .08)] for w in worst], "chance": .1, "half": 16 / 255,
                   "noise": {"uniform": [.98 - .002 * i for i in range(10)], "sign": [.98 - .011 * i for i in range(10)]},
                   "flags": [], "fragile": [{"true": names[1], "predicted": names[8], "eps": 2 / 255, "confidence": .6,
                                             "magnified": 16, "tried": 64 / 255,
                                             "pictures": [digit(), change(), digit()]} for _ in range(6)],
                   "sturdy": [{"true": names[0], "predicted": None, "eps": None, "confidence": None, "magnified": 4,
                               "tried": 64 / 255, "pictures": [digit(), change(), digit()]} for _ in range(6)]},
        "kshot": {"call": "reuse.kshot_curve(s.source)", "test": 360, "all": 143.7, "chance": .1,
                  "detail": "Mean of 10 draws, band: 95% interval of the mean.",
                  "detail_short": "each point is the mean of 10 draws.", "seen": "", "curves": [
                      {"name": "learned features", "shots": [1, 2, 5, 10, 143.7], "mean": [.45, .6, .78, .86, .95],
                       "low": [.42, .58, .77, .85, .95], "high": [.48, .62, .79, .87, .95]},
                      {"name": "pixels", "shots": [1, 2, 5, 10, 143.7], "mean": [.5, .63, .8, .88, .96],
                       "low": [.46, .6, .79, .87, .96], "high": [.54, .66, .81, .89, .96]}]},
        "run": {"date": "2026-11-24 12:00", "machine": "Linux x86_64, 2 cores",
                "versions": {"hubel": "0.1.0", "torch": "2.13"},
                "seconds": {"data": .3, "training": 6.3, "attack": 8.1}},
    }
