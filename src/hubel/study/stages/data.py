"""The stage that describes the data: counts, examples, leaks across the split, skipped files. Depends on data."""

from __future__ import annotations

from typing import Any

import numpy as np

from hubel.data import Dataset
from hubel.errors import DataError
from hubel.study.context import Context

SIDE = 208  # pixels of a thumbnail: twice what the page shows
_EXAMPLES = 20
_LEAKS = 8


def data(context: Context) -> dict[str, Any]:
    if context.source.kind in ("sound", "series"):
        raise DataError(f"hubel study looks at images, {context.source.name} holds {context.source.test.noun}: use hubel train, "
                        "then hubel evaluate")
    source = context.source.with_leaks()
    train, test = source.train, source.test
    both = np.concatenate([train.sizes, test.sizes])
    small = bool(both.max() <= 64)
    return {
        "name": source.name, "kind": source.kind, "classes": list(source.classes), "small": small,
        "size_text": size_text(train, both), "split": "given" if source.own_split else "stratified",
        "seed": context.seed, "test_share": len(test) / (len(test) + len(train)),
        "fingerprint": fingerprint(source),
        "train": {"images": len(train), "per_class": train.counts.tolist()},
        "test": {"images": len(test), "per_class": test.counts.tolist()},
        "examples": [{"class": source.classes[label], "picture": context.folder.picture(f"example-{i}", pixels, SIDE)}
                     for i, (pixels, label) in enumerate(examples(train, context.seed))],
        "skipped": [{"path": s.path, "reason": s.reason} for s in source.skipped],
        "leaks": leaks(context, source),
    }


def fingerprint(source: Any) -> str:
    return f"{source.train.fingerprint()[:12]}-{source.test.fingerprint()[:12]}"


def examples(train: Dataset, seed: int) -> list[tuple[np.ndarray, int]]:
    """One image of each class (of 20 evenly spread classes, if there are more)."""
    rng = np.random.default_rng([seed, 1])
    present = np.flatnonzero(train.counts)
    chosen = present[np.unique(np.linspace(0, len(present) - 1, min(len(present), _EXAMPLES)).round().astype(int))]
    return [train[int(rng.choice(np.flatnonzero(train.labels == k)))] for k in chosen]


def size_text(train: Dataset, sizes: np.ndarray) -> str:
    colour = "grey" if train.channels_hint() == 1 else "colour"
    low, high = sizes.min(axis=0), sizes.max(axis=0)
    if (low == high).all():
        return f"{low[1]} × {low[0]} {colour} pixels"
    return f"{low[1]} × {low[0]} to {high[1]} × {high[0]} {colour} pixels"


def leaks(context: Context, source: Any) -> dict[str, Any]:
    """Pairs are shown nearest first, exact copies before near ones."""
    found = sorted(source.leaks, key=lambda leak: (not leak.exact, leak.distance, leak.test_index))
    shown = []
    for i, leak in enumerate(found[:_LEAKS]):
        (a, label_a), (b, label_b) = source.train[leak.train_index], source.test[leak.test_index]
        names = [source.classes[k] for k in (label_a, label_b)]
        text = names[0] if names[0] == names[1] else f"{names[0]} in training, {names[1]} in the test"
        shown.append({"pictures": [context.folder.picture(f"leak-{i}-train", a, SIDE),
                                   context.folder.picture(f"leak-{i}-test", b, SIDE)],
                      "small": max(a.shape[:2]) <= 64, "text": f"{text}, {'the same' if leak.exact else 'nearly the same'}"})
    exact = {leak.test_index for leak in found if leak.exact}
    either = {leak.test_index for leak in found}
    return {"exact": len(exact), "near": len(either - exact), "images": len(either), "shown": shown,
            "test_indices": sorted(either)}
