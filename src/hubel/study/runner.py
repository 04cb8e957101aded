"""A study from beginning to end: stages in order, each kept when it is done, then the report. Depends on all rooms above.

A stage's key says what it was done with (data, model, seed, plan). A second run with the same key finds the stage's facts
and goes on; whatever has changed is done again. A stage that fails with a HubelError becomes a note in the report, but for
the data and the model, without which there is none.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import hubel
from hubel import data as data_room
from hubel.errors import HubelError, InputError
from hubel.study import plan as plans
from hubel.study.context import Context
from hubel.study.opening import device_for
from hubel.study.pace import measured_rate
from hubel.study.stages import attack, data, evaluation, labels, look, training
from hubel.study.store import Folder, key, pretty
from hubel.study.study import Study, default_folder

Stage = Callable[[Context], dict[str, Any]]

# (name, the place of its facts, what does it); all of them may fail and leave the others standing
LATER: tuple[tuple[str, tuple[str, ...], Stage], ...] = (
    ("evaluation", ("evaluation",), evaluation.evaluation),
    ("filters", ("look", "filters"), look.filters),
    ("exciting", ("look", "exciting"), look.exciting),
    ("classes", ("look", "classes"), look.classes),
    ("decisions", ("look", "decisions"), look.decisions),
    ("attack", ("attack",), attack.attack),
    ("labels", ("kshot",), labels.labels),
)
WORDS = {"evaluation": "the test set", "filters": "the first layer", "exciting": "exciting inputs",
         "classes": "pictures of classes", "decisions": "where decisions come from", "attack": "robustness",
         "labels": "few labels"}


def run(source: Any = "digits", *, model: Any = None, out: str | os.PathLike[str] | None = None,
        minutes: float | None = None, seed: int = 0, device: str = "auto", progress: Any = "auto") -> Study:
    """Train (or load) a model on `source`, look at it from all sides, and write the report. Returns the Study.

    Parameters
    ----------
    source : anything `hubel.data.load` takes: 'digits', a folder of images with a subfolder per class, MNIST's or CIFAR's
        files, an .npz file, a pair of arrays.
    model : a Model, a file of one, 'efficientnet_lite0', or None to train one. It must have the data's classes by name.
    out : the folder to write to; 'hubel-study-NAME' where None. The same call goes on in it after an interruption.
    minutes : a budget for all of it; None takes as long as it is worth, with samples that do not depend on the machine.
    progress : 'auto' tells on stderr what is being done, None is silent, a function gets each line.

    Raises DataError, ModelError, InputError for what cannot be used, KeyboardInterrupt after Ctrl-C.
    """
    _check(minutes, seed)
    chosen = device_for(device)
    began = time.monotonic()
    loaded = source if isinstance(source, data_room.Source) else data_room.load(source, seed=seed)
    folder = Folder(out if out is not None else default_folder(loaded.name))
    folder.lock()
    try:
        say = _teller(progress)
        context = Context(folder, {"hubel": hubel.__version__, "notes": []}, seed, chosen, minutes, say,
                          1 if progress == "auto" else 0, source=loaded, began=began)
        context.request = _request(source, loaded, model, folder, minutes, seed, device)
        context.facts["study"] = dict(context.request)
        return _carry_out(context, model)
    except KeyboardInterrupt:
        say("stopped: the same command goes on where it was")
        raise
    finally:
        folder.unlock()


def _carry_out(context: Context, model: Any) -> Study:
    facts = context.facts
    base = [context.source.train.fingerprint(), context.source.test.fingerprint(), context.seed, hubel.__version__]
    seconds: dict[str, float] = {}
    facts["data"] = _stage(context, "data", key(base), data.data, seconds)
    facts["model"], facts["training"] = _model(context, model, base, seconds)
    context.plan = _plan(context, [*base, facts["model"]["hash"]], seconds)
    facts["study"]["sizes_words"] = context.plan.words()
    facts["study"]["plan"] = context.plan.to_dict()
    for name, place, stage in LATER:
        _later(context, name, place, stage, key(base, facts["model"]["hash"], context.plan.to_dict()), seconds)
    facts["run"] = {"date": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(context.device),
                    "versions": versions(), "seconds": {name: round(value, 2) for name, value in seconds.items()}}
    return _report(context)


def _later(context: Context, name: str, place: tuple[str, ...], stage: Stage, stage_key: str,
           seconds: dict[str, float]) -> None:
    left = context.left()
    try:
        if left is not None and left <= 0 and context.folder.facts(name, stage_key) is None and name != "evaluation":
            raise InputError(f"the budget of {context.minutes:g} minutes was spent before it: give more --minutes")
        found = _stage(context, name, stage_key, stage, seconds)
    except HubelError as error:
        context.facts["notes"].append({"stage": WORDS[name], "message": str(error)})
        context.say(f"{WORDS[name]}: left out: {error}")
        return
    target = context.facts
    for part in place[:-1]:
        target = target.setdefault(part, {})
    target[place[-1]] = found


def _stage(context: Context, name: str, stage_key: str, stage: Stage, seconds: dict[str, float]) -> dict[str, Any]:
    kept = context.folder.facts(name, stage_key)
    if kept is not None:
        seconds[name] = kept["seconds"]
        context.spent += kept["seconds"]
        return kept["facts"]
    began = time.monotonic()
    found = stage(context)
    seconds[name] = max(time.monotonic() - began, found.get("seconds", 0.0))  # training counts interrupted parts too
    context.folder.keep(name, stage_key, {"facts": found, "seconds": seconds[name]})
    context.say(f"{WORDS.get(name, name)}: {seconds[name]:.1f} s")
    return found


def _model(context: Context, model: Any, base: list[Any], seconds: dict[str, float]) -> tuple[dict[str, Any], Any]:
    if model is not None:
        context.model = training.loaded(context, model)
        return training.about(context, model), None
    stage_key = key(base, context.minutes, "training")
    found = _stage(context, "training", stage_key, training.train, seconds)
    context.model = training.again(context, found)
    return training.about(context, None), found


def _plan(context: Context, parts: list[Any], seconds: dict[str, float]) -> plans.Plan:
    """Made once: with a budget it depends on what is left, and a study that goes on must go on with the same plan."""
    plan_key = key(parts, context.minutes)
    kept = context.folder.facts("plan", plan_key)
    if kept is None:
        minutes = context.minutes
        left = context.left()
        if minutes is not None and left is not None:
            # The shares are of the whole budget; what training left over or took too much is passed on to them.
            later = sum(share for stage, share in plans.SHARES.items() if stage != "training")
            minutes = max(left / 60 * 0.9 / later, 0.02)
        multiply_adds, rate = context.facts["model"]["multiply_adds"], plans.NOMINAL
        if minutes is not None:
            rate = measured_rate(context.model, context.subject.sample(8)[0], max(multiply_adds, plans.OVERHEAD))
        made = plans.make_plan(multiply_adds, len(context.source.test), len(context.source.classes), minutes, rate)
        kept = made.to_dict()
        context.folder.keep("plan", plan_key, kept)
    return plans.Plan(**kept)


def _report(context: Context) -> Study:
    from hubel.study.report import render

    context.folder.write("report.json", pretty(context.facts))
    html = render(context.facts, context.folder.path)
    context.folder.write("report.html", html)
    return Study(context.folder.path, context.facts)


def _check(minutes: float | None, seed: int) -> None:
    if minutes is not None and not 0 < minutes < float("inf"):
        raise InputError(f"minutes={minutes}: give a number above 0")
    if seed < 0:
        raise InputError(f"seed={seed}: give a whole number from 0 up")


def _request(source: Any, loaded: Any, model: Any, folder: Folder, minutes: float | None, seed: int,
             device: str) -> dict[str, Any]:
    """What was asked for, with the command that asks for it again."""
    from hubel.study.report.code import shell

    named = isinstance(source, str | os.PathLike)
    model_name = None if model is None else str(model) if isinstance(model, str | os.PathLike) else "model.hubel"
    words = ["hubel", "study", str(source) if named else loaded.name, "--seed", seed, "--out", folder.path]
    words += ["--model", model_name] if model_name else []
    words += ["--minutes", f"{minutes:g}"] if minutes else []
    words += ["--device", device] if device != "auto" else []
    return {"source": str(source) if named else None, "name": loaded.name, "model": model_name, "out": str(folder.path),
            "minutes": minutes, "seed": seed, "device": device, "command": shell(*words),
            "test_words": "the test images"}


def _teller(progress: Any) -> Callable[[str], None]:
    if callable(progress):
        return progress
    if progress == "auto":
        return lambda text: print(text, file=sys.stderr, flush=True)
    return lambda text: None


def machine(device: str) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"{platform.system()} {platform.machine()}, {cores} cores"
    if device == "cuda":
        import torch

        text += f", {torch.cuda.get_device_name(0)}"
    return text


def versions() -> dict[str, str]:
    import torch

    return {"hubel": hubel.__version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__}
