"""The stage that counts: accuracy with its interval, per class, confusions, the worst mistakes. Depends on model, data."""

from __future__ import annotations

from typing import Any

import numpy as np

from hubel.study.context import Context
from hubel.study.stages.data import SIDE
from hubel.study.statistics import confusion, most_confused, per_class, wilson
from hubel.study.subject import Subject

OTHER = "(another class)"


def evaluation(context: Context) -> dict[str, Any]:
    found = evaluate(context.subject, context.planned.mistakes)
    for i, mistake in enumerate(found["mistakes"]):
        mistake["picture"] = context.folder.picture(f"mistake-{i}", context.source.test[mistake["index"]][0], SIDE + 96)
    leaked = set((context.facts.get("data") or {}).get("leaks", {}).get("test_indices", []))
    right = np.array(found.pop("right"))
    found["without_leaks"] = None
    if leaked and len(leaked) < len(right):
        rest = np.array([i not in leaked for i in range(len(right))])
        found["without_leaks"] = {"n": int(rest.sum()), "accuracy": float(right[rest].mean())}
    return found


def evaluate(subject: Subject, mistakes: int = 12) -> dict[str, Any]:
    """All that is counted on the test set. `right` says for each test image whether it was classified correctly."""
    test, classes = subject.test, list(subject.source.classes)
    logits = _logits(subject)
    probabilities = _softmax(logits)
    answers = probabilities.argmax(1)
    to_data = np.full(len(subject.model.classes), len(classes))
    to_data[subject.to_model] = np.arange(len(classes))
    predicted = to_data[answers]
    names = classes + ([OTHER] if (predicted == len(classes)).any() else [])
    matrix = confusion(test.labels, predicted, len(names))
    right = predicted == test.labels
    low, high = wilson(int(right.sum()), len(right))
    precision, recall, f1, n = per_class(matrix)
    majority = int(np.bincount(test.labels, minlength=len(classes)).argmax())
    shown = subject.classes
    sure = probabilities.max(1)
    truth = probabilities[np.arange(len(test)), subject.to_model[test.labels]]
    order = np.flatnonzero(~right)
    order = order[np.argsort(-(sure - truth)[order], kind="stable")][:mistakes]
    paths = test.paths
    return {
        "n": len(test), "correct": int(right.sum()), "accuracy": float(right.mean()), "interval": [low, high],
        "classes": names, "confusion": matrix.tolist(), "confused": most_confused(matrix, names),
        "majority": {"class": classes[majority], "accuracy": float((test.labels == majority).mean())},
        "confidence": float(sure.mean()),
        "per_class": [{"class": name, "n": int(n[k]), "precision": float(precision[k]), "recall": float(recall[k]),
                       "f1": float(f1[k])} for k, name in enumerate(classes)],
        "mistakes": [{"index": int(i), "true": classes[test.labels[i]], "predicted": shown[answers[i]],
                      "confidence": float(sure[i]), "truth": float(truth[i]),
                      "path": str(paths[i]) if paths else None} for i in order],
        "right": right.tolist(),
    }


def _logits(subject: Subject) -> np.ndarray:
    """Logits (N, K) for every test image, in order, in full precision, a bounded number decoded at a time."""
    if subject.test.kind in ("sound", "series") or subject.model.kind != "image":
        return subject.model.logits(subject.test)  # which says so if model and data do not fit
    parts = []
    for start in range(0, len(subject.test), 512):
        part = subject.test.subset(np.arange(start, min(start + 512, len(subject.test))))
        parts.append(subject.model.logits(part.arrays(subject.size, subject.channels)))
    return np.concatenate(parts)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp((logits - logits.max(1, keepdims=True)).astype(np.float64))
    return shifted / shifted.sum(1, keepdims=True)
