"""The commands that make each figure again, as text: command lines where there are some, else a few lines of Python.

Tests run every one of them. Depends on the facts alone.
"""

from __future__ import annotations

import shlex
from typing import Any

from hubel.study.report.section import Facts


def shell(*words: Any) -> str:
    return shlex.join(str(word) for word in words if word is not None)


def study(facts: Facts) -> str:
    return facts["study"]["command"]


def training(facts: Facts) -> str:
    s = facts["study"]
    minutes = facts["training"].get("minutes")
    return shell("hubel", "train", s["source"], "--seed", s["seed"], *(["--minutes", f"{minutes:g}"] if minutes else []),
                 "--device", s["device"], "-o", "model.hubel")


def evaluation(facts: Facts) -> str:
    s = facts["study"]
    return shell("hubel", "evaluate", s["source"], "--model", facts["model"]["file"], "--seed", s["seed"])


def mistakes(facts: Facts) -> str:
    return evaluation(facts) + " --mistakes mistakes/"


def python(facts: Facts, rooms: str, *lines: str) -> str:
    folder = facts["study"]["out"]
    return "\n".join([f"from hubel import {rooms}", f"s = study.load({folder!r})", *lines])


def examples(facts: Facts) -> str:
    return python(facts, "study", 's.examples().save("examples.png")')


def filters(facts: Facts) -> str:
    return python(facts, "look, study", 'look.filters(s.model).plot().savefig("filters.png")')


def exciting(facts: Facts, layer: str) -> str:
    look = facts["look"]["exciting"]
    return python(facts, "look, study", f"data = s.test({look['images']})",
                  f'look.exciting(s.model, data, {layer!r}, k={look["k"]}).plot().savefig("exciting.png")')


def depth(facts: Facts) -> str:
    found = facts["look"]["exciting"]["depth"]
    return python(facts, "look, study", f"data = s.test({found['images']})",
                  f'look.depth(s.model, data, {found["names"]!r}).plot().savefig("depth.png")')


def classes(facts: Facts) -> str:
    look = facts["look"]["classes"]
    return python(facts, "look, study", f"data = s.test({look['images']})",
                  f"look.synthesise(s.model, classes={look['indices']}, data=data, steps={look['steps']}, "
                  f'seed={facts["study"]["seed"]}).plot().savefig("classes.png")')


def decisions(facts: Facts) -> str:
    look = facts["look"]["decisions"]
    return python(facts, "look, study", f"x, y = s.images({look['indices']})",
                  'look.gradcam(s.model, x).plot().savefig("gradcam.png")',
                  'look.gradient(s.model, x).plot().savefig("gradient.png")')


def attack(facts: Facts) -> str:
    a = facts["attack"]
    eps = ", ".join(f'"{e * 255:.0f}/255"' for e in a["eps"][1:])
    return python(facts, "attack, study", f"x, y = s.sample({a['points']})",
                  f"curve = attack.robustness_curve(s.model, x, y, [{eps}], steps={a['steps']}, "
                  f"seed={facts['study']['seed']})", 'curve.plot().savefig("curve.png")')


def fragile(facts: Facts) -> str:
    return attack(facts).rsplit("\n", 1)[0] + '\ncurve.plot_examples().savefig("robust.png")'


def kshot(facts: Facts) -> str:
    return python(facts, "reuse, study", facts["kshot"]["call"] + '.plot().savefig("labels.png")')
