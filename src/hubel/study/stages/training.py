"""The stage that trains the model, or takes one that is given, and says what it is. Depends on model and `teach`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hubel.errors import ModelError
from hubel.model import Model
from hubel.study.context import Context
from hubel.study.opening import open_model
from hubel.study.plan import SHARES
from hubel.study.stages.data import fingerprint
from hubel.study.store import key
from hubel.study.teach import Taught, teach

FILE = "model.hubel"


def train(context: Context) -> dict[str, Any]:
    """Train on the training images; the model is kept in the study's folder."""
    minutes = _minutes(context)
    checkpoint = context.folder.path / "training.safetensors"
    taught = teach(context.source, minutes=minutes, seed=context.seed, device=context.device, checkpoint=checkpoint,
                   verbose=context.verbose)
    if taught.interrupted:
        raise KeyboardInterrupt
    taught.model.save(context.folder.path / FILE, **notes(context.source, taught))
    checkpoint.unlink(missing_ok=True)
    return {"history": taught.history["history"], "epochs": len(taught.history["epoch"]), "images": taught.images,
            "held_out_images": taught.held_out, "seconds": taught.seconds, "seconds_text": duration(taught.seconds),
            "recipe": taught.recipe, "minutes": minutes, "held_out": "held out", "hash": taught.model.hash,
            "note": _note(taught)}


def _note(taught: Taught) -> str:
    if not taught.held_out:
        return (f"All {taught.images:,} training images were learned from, altered anew in every epoch: too few to hold some "
                "out for this curve. How well it does on others, the test images say.")
    return (f"{taught.images:,} images were learned from; {taught.held_out:,} of the training images were held out for this "
            "curve, and nothing was chosen by it.")


def _minutes(context: Context) -> float | None:
    """The training's share of the budget. It is fixed when training begins: a run that goes on has the same."""
    if context.minutes is None:
        return None
    budget_key = key(fingerprint(context.source), context.minutes)
    kept = context.folder.facts("budget", budget_key)
    if kept is None:
        kept = {"minutes": max((context.left() or 0.0) / 60 * SHARES["training"], 0.02)}
        context.folder.keep("budget", budget_key, kept)
    return float(kept["minutes"])


def notes(source: Any, taught: Taught) -> dict[str, Any]:
    """What a model file says about its training: enough to test it on images it has not seen."""
    return {"trained on": source.name, "data": fingerprint(source), "seed": source.seed, "recipe": taught.recipe,
            "images": taught.images, "epochs": len(taught.history["epoch"])}


def again(context: Context, facts: dict[str, Any]) -> Model:
    """The trained model, from the study's folder. ModelError if it is not the one that the facts are about."""
    path = context.folder.path / FILE
    model = Model.load(path)
    if model.hash != facts["hash"]:
        raise ModelError(f"{path} is not the model of this study any more: delete {context.folder.path / 'facts'} to train "
                         "again")
    return model


def loaded(context: Context, model: Any) -> Model:
    """The model that was given, after checking that it has the data's classes."""
    opened = open_model(model)
    if opened.output != "softmax":
        raise ModelError(f"the model's outputs are {opened.output!r}: hubel study is for models that choose one class of K")
    context.model = opened
    subject = context.subject
    _ = subject.to_model, subject.channels
    if not isinstance(model, str | Path):
        opened.save(context.folder.path / FILE)
    return opened


def about(context: Context, given: Any) -> dict[str, Any]:
    """What the model is, for the report."""
    model = context.model
    model.sample_shape = (context.subject.channels, *context.subject.size)
    summary = model.summary(print_fn=None)
    named = isinstance(given, str | Path)
    parameters = short(summary.parameters)
    return {"about": f"{network_words(model)} of {parameters} parameters", "hash": model.hash,
            "file": str(given) if named else str(context.folder.path / FILE), "given": given is not None,
            "parameters": summary.parameters, "parameters_text": parameters, "multiply_adds": summary.multiply_adds,
            "size": list(context.subject.size), "channels": model.channels,
            "layers": [{"name": r.name, "kind": r.kind, "output": " × ".join(map(str, r.shape)),
                        "parameters": r.parameters, "dense": r.dense_weights} for r in summary.rows]}


def network_words(model: Model) -> str:
    name = type(model.network).__name__
    return {"SmallResNet": "a small residual network", "EfficientNetLite": "EfficientNet-Lite0",
            "DepthsNet": "EfficientNet-Lite0 with a new head"}.get(name, name)


def short(number: int) -> str:
    """77034 -> '77k', 3400000 -> '3.4M'."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.2g}{letter}" if number < 100 * size else f"{number / size:.0f}{letter}"
    return str(number)


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
