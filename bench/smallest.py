"""DeepFool and Carlini-Wagner (L2) against Foolbox, ART and torchattacks: seconds, and how small the changes are.

More seconds buy smaller changes: each library runs Carlini-Wagner with several budgets, and against every row of a peer
stands the least time that hubel needs for changes at least as small.

`HUBEL_DATA=... python bench/smallest.py [photos [art]]`. EfficientNet-Lite0 on ImageNet photos at 224 px, each
run once after a warm-up on one photo. Every answer is judged by the network in float32, one image at a time; one that
breaks nothing counts with the size of the largest change that any library needed for that photo.
torchattacks' DeepFool takes the gradients of all 1000 classes at each step, and is left out for that; ART runs when asked
for (its DeepFool alone takes more than four minutes for four photos).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from _table import append_results, markdown
from attack import Pixels, photos, stub_torchvision
from hubel.attack import carlini_wagner, deepfool
from hubel.model import pretrained

RATE = 0.01
BUDGETS = ((1, 5), (1, 20), (3, 40))  # rounds of the search for the weight, and steps of each
Attack = Callable[[Tensor, Tensor], Tensor]


def ours(model, attack, **options) -> Attack:
    def call(t: Tensor, y: Tensor) -> Tensor:
        x = t.permute(0, 2, 3, 1).numpy()
        return torch.from_numpy(attack(model, x, y.numpy(), progress=False, **options).adversarials).permute(0, 3, 1, 2)

    return call


def peers(network: nn.Module) -> tuple[dict[str, Attack], dict[str, Attack]]:
    import foolbox as fb
    from art.attacks.evasion import CarliniL2Method, DeepFool
    from art.estimators.classification import PyTorchClassifier

    stub_torchvision()
    import torchattacks as ta

    boxed = fb.PyTorchModel(network, bounds=(0, 1))
    classifier = PyTorchClassifier(network, nn.CrossEntropyLoss(), (3, 224, 224), 1000, clip_values=(0, 1))

    def foolbox(attack) -> Attack:
        return lambda t, y: attack(boxed, t, y, epsilons=[None])[1][0]

    def art(attack) -> Attack:
        return lambda t, y: torch.from_numpy(attack.generate(t.numpy(), y.numpy()))

    fool = {"Foolbox": foolbox(fb.attacks.L2DeepFoolAttack(steps=50, candidates=10, overshoot=0.02)),
            "ART": art(DeepFool(classifier, max_iter=50, epsilon=0.02, nb_grads=10, batch_size=8, verbose=False))}
    carlini = {}
    for rounds, steps in BUDGETS:
        how = f"{rounds} x {steps}"
        carlini[f"Foolbox, {how}"] = foolbox(fb.attacks.L2CarliniWagnerAttack(
            binary_search_steps=rounds, steps=steps, stepsize=RATE, initial_const=1.0, abort_early=True))
        carlini[f"torchattacks, {how}"] = ta.CW(network, c=1.0, steps=rounds * steps, lr=RATE)
    carlini["ART"] = art(CarliniL2Method(classifier, learning_rate=RATE, binary_search_steps=3, max_iter=40, initial_const=1.0,
                                         batch_size=8, verbose=False))
    if "art" not in sys.argv:
        del fool["ART"], carlini["ART"]
    return fool, carlini


def sizes(network: nn.Module, t: Tensor, y: Tensor, bent: Tensor) -> np.ndarray:
    """(N,) L2 sizes; NaN where nothing is broken."""
    with torch.no_grad():
        broken = torch.cat([network(q).argmax(1) != c for q, c in zip(bent.split(1), y.split(1), strict=True)])
    size = (bent - t).flatten(1).norm(dim=1)
    return np.where(broken, size.numpy(), np.nan)


def compare(what: str, attacks: dict[str, Attack], network: nn.Module, t: Tensor, y: Tensor, note: str) -> None:
    seconds, found = {}, {}
    for name, attack in attacks.items():
        attack(t[:1], y[:1])
        began = time.perf_counter()
        bent = attack(t, y)
        seconds[name] = time.perf_counter() - began
        found[name] = sizes(network, t, y, bent.detach().float())
        print(what, name, f"{seconds[name]:.2f} s", found[name].round(3), flush=True)
    worst = np.nanmax(np.stack(list(found.values())), axis=0)
    median = {name: float(np.median(np.where(np.isnan(found[name]), worst, found[name]))) for name in attacks}
    mine = [name for name in attacks if name.startswith("hubel")]
    rows = []
    for name in attacks:
        as_small = [seconds[m] for m in mine if median[m] <= median[name] * 1.005]
        times = f"{seconds[name] / min(as_small):.1f}x" if as_small else "not reached"
        rows.append([name, seconds[name], f"{np.isfinite(found[name]).mean():.0%}", median[name], times])
    append_results(what, markdown(["library", "seconds", "broken", "median L2 size", "times hubel's for as small"], rows, note))


def main(count: int) -> None:
    x, labels = photos(Path(os.environ["HUBEL_DATA"]) / "imagenet", 32)
    model = pretrained()
    network = Pixels(model).eval()
    for p in network.parameters():
        p.requires_grad_(False)
    t = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).float() / 255
    with torch.no_grad():
        right = torch.cat([network(q).argmax(1) for q in t.split(8)]) == torch.from_numpy(labels)
    t, y = t[right][:count], torch.from_numpy(labels)[right][:count]
    fool, carlini = peers(network)
    where = f"EfficientNet-Lite0, {len(t)} ImageNet photos at 224 px that it gets right, one run each"
    compare("DeepFool", {"hubel": ours(model, deepfool), **fool}, network, t, y, f"At most 50 steps, 10 classes; {where}.")
    own = {f"hubel, {rounds} x {steps}": ours(model, carlini_wagner, rounds=rounds, steps=steps, rate=RATE, weight=1.0)
           for rounds, steps in BUDGETS}
    compare("Carlini-Wagner", {**own, **carlini}, network, t, y,
            f"Rounds x steps, first weight 1 (torchattacks: as many steps in one round, weight 1), rate {RATE}; {where}.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
