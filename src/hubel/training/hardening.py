"""Adversarial training inside `fit`: what `harden=` means. Depends on callbacks, losses and precision; on no other room.

    fit(network, (x, y), epochs=10, harden=Harden(0.3, method="trades", persist=True))

An `Adversary` stands where augmentation does: it turns each batch into the one the network shall learn from. It works on
whole batches of the network in training, so that it needs nothing of the attack room, which stands below `fit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.errors import InputError
from hubel.training import losses
from hubel.training.callbacks import Callback
from hubel.training.evaluation import to_input
from hubel.training.overfitting import Watch
from hubel.training.precision import Context, forward_context
from hubel.training.randomness import Draws

METHODS = ("pgd", "trades", "fgsm", "gaussian")
Augment = Callable[[Tensor, Tensor, Draws], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Harden:
    """How to train against perturbations of size `eps` (pixels of 0..1) in `norm`, 'linf' or 'l2'.

    method : 'pgd' learns adversarial images only (Madry et al. 2018, arXiv:1706.06083). 'trades' learns the clean images
        and, weighted by `beta`, that perturbed ones are taken for the same (Zhang et al. 2019, arXiv:1901.08573). 'fgsm'
        takes one step from a random start (Wong et al. 2020, arXiv:2001.03994); catastrophic overfitting is watched
        for (`overfitting.Watch`). 'gaussian' adds normal noise of deviation eps, for randomised smoothing (Cohen et al.
        2019, arXiv:1902.02918).
    steps, step_size : of the inner search; None: 7 steps of 2.5 eps / steps (1 of 1.25 eps for 'fgsm').
    persist : each search goes on from where the image's last one, an epoch ago, ended (Zheng et al. 2020,
        arXiv:1912.11969), so that 1 or 2 steps do for 10. Only without augmentation: the image must be the same.
    ramp : the share of the run over which eps grows from 0: at large eps nothing is learned otherwise.
    """

    eps: float
    norm: str = "linf"
    method: str = "pgd"
    steps: int | None = None
    step_size: float | None = None
    beta: float = 6.0
    persist: bool = False
    ramp: float = 0.1

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"harden method {self.method!r} is unknown: one of {', '.join(METHODS)}")
        if self.norm not in ("linf", "l2"):
            raise InputError(f"harden norm {self.norm!r} is unknown: 'linf' or 'l2'")
        if not 0 < self.eps < float("inf"):
            raise InputError(f"harden eps={self.eps} must be above 0, in pixels of 0..1: 8/255, say")
        if (self.steps is not None and self.steps < 1) or (self.step_size is not None and not self.step_size > 0):
            raise InputError(f"harden steps={self.steps} and step_size={self.step_size} must be above 0")
        if not 0 <= self.ramp <= 1 or not self.beta >= 0:
            raise InputError(f"harden ramp={self.ramp} lies in 0..1, beta={self.beta} is at least 0")

    @property
    def count(self) -> int:
        return self.steps or (1 if self.method == "fgsm" else 7)

    def stride(self, eps: float, steps: int) -> float:
        """The step size where the ball has size `eps`."""
        if self.step_size is not None:
            return self.step_size * eps / self.eps
        return eps * (1.25 if steps == 1 else 2.5 / steps)


class Adversary(Callback):
    """Makes the batches of a hardened run; `loss` is what the run then minimises."""

    def __init__(self, plan: Harden, network: nn.Module, normalise: Any, augment: Augment | None, loss: losses.Loss) -> None:
        if plan.persist and augment is not None:
            raise InputError("persist=True goes on from the last epoch's perturbations: leave augment= out with it")
        self.plan, self.network, self.normalise, self.augment, self.plain = plan, network, normalise, augment, loss
        self.steps = plan.count
        self.context: Context | None = None
        self.kept: Tensor | None = None  # (M, C, H, W) int8: last perturbations, in parts of eps / 127
        self.watch = Watch(self) if plan.method == "fgsm" else None
        self.sample: tuple[Tensor, Tensor] | None = None

    @property
    def eps(self) -> float:
        """The size in use now."""
        grown = 1.0 if self.plan.ramp == 0 else min(1.0, (self.run.share + 1e-3) / self.plan.ramp)
        return self.plan.eps * grown

    def __call__(self, x: Tensor, y: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return the batch to learn: adversarial, or for TRADES the clean images followed by their perturbed ones."""
        if self.augment is not None:
            x, y = self.augment(x, y, draws)
        x = x.float().div(255) if x.dtype == torch.uint8 else x.float()
        if self.plan.method == "gaussian":
            return x + self.plan.eps * torch.randn_like(x), y
        self.sample = (x, y)
        bent = self.search(x, y, self.eps, self.steps, self._start(x, draws))
        if self.kept is not None:
            self.kept[torch.from_numpy(draws.index)] = ((bent - x) * (127 / self.plan.eps)).round_().to(torch.int8)
        return (torch.cat([x, bent]), torch.cat([y, y])) if self.plan.method == "trades" else (bent, y)

    def _start(self, x: Tensor, draws: Draws) -> Tensor | None:
        if not self.plan.persist:
            return None
        if self.kept is None:
            self.kept = torch.zeros(draws.size, *x.shape[1:], dtype=torch.int8)
        return self.kept[torch.from_numpy(draws.index)].float() * (self.plan.eps / 127)

    def search(self, x: Tensor, y: Tensor, eps: float, steps: int, start: Tensor | None = None) -> Tensor:
        """Return points of the ball around x that are hard for the network as it is, in evaluation mode."""
        training = self.network.training
        self.network.eval()
        if self.context is None:
            self.context, _ = forward_context(self.network, to_input(x, x.device, self.normalise), self.run.low)
        clean = None
        if self.plan.method == "trades":
            with torch.no_grad():
                clean = self._logits(x).softmax(dim=1)
        d = self._inside(self._random(x, eps) if start is None else start, x, eps)
        if start is not None:  # images met for the first time have no perturbation yet, and no slope for TRADES
            d = self._inside(d + 0.1 * self._random(x, eps), x, eps)
        stride = self.plan.stride(eps, steps)
        for _ in range(steps):
            q = (x + d).requires_grad_()
            with torch.enable_grad():
                logits = self._logits(q)
                value = F.cross_entropy(logits, y, reduction="sum") if clean is None else _divergence(clean, logits).sum()
            g = torch.autograd.grad(value, q)[0]
            d = self._inside(d + stride * (g.sign() if self.plan.norm == "linf" else _unit(g)), x, eps)
        self.network.train(training)
        if training:
            from hubel.training.loop import train_mode

            train_mode(self.network)
        return x + d

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The loss of each output. In training TRADES has both halves; validation sees clean images alone."""
        if self.plan.method != "trades" or not outputs.requires_grad:
            return self.plain(outputs, y)
        half = len(outputs) // 2
        clean = outputs[:half]
        apart = _divergence(clean.softmax(dim=1), outputs[half:])
        return 2 * torch.cat([self.plain(clean, y[:half]), self.plan.beta * apart])

    def _logits(self, x: Tensor) -> Tensor:
        assert self.context is not None
        with self.context():
            outputs = self.network(to_input(x, x.device, self.normalise))
        return outputs.float()

    def _random(self, x: Tensor, eps: float) -> Tensor:
        """From torch's own generator, which the loop seeds for every step."""
        if self.plan.norm == "linf":
            return torch.empty_like(x).uniform_(-eps, eps)
        return _unit(torch.randn_like(x)) * eps * torch.rand(len(x), 1, 1, 1)

    def _inside(self, d: Tensor, x: Tensor, eps: float) -> Tensor:
        if self.plan.norm == "linf":
            d = d.clamp(-eps, eps)
        else:
            d = d * (eps / d.flatten(1).norm(dim=1).clamp_min(1e-12)).clamp_max(1).view(-1, 1, 1, 1)
        return (x + d).clamp_(0, 1) - x

    # -- as a callback: what an interrupted run needs, and the watch over single steps --------------------------------

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self.watch is not None:
            self.watch.look(batch)

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps, "watch": None if self.watch is None else self.watch.state()}

    def tensors(self) -> dict[str, Tensor]:
        kept = {} if self.kept is None else {"kept": self.kept}
        return kept if self.watch is None else {**kept, **self.watch.tensors()}

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.steps, self.kept = state["steps"], tensors.get("kept")
        if self.watch is not None:
            self.watch.load(state["watch"], {k: v for k, v in tensors.items() if k != "kept"})


def _divergence(clean: Tensor, logits: Tensor) -> Tensor:
    """KL(clean || softmax(logits)) of each row, up to nothing: the entropy of `clean` is in it."""
    return F.kl_div(logits.log_softmax(dim=1), clean, reduction="none").sum(dim=1)


def _unit(g: Tensor) -> Tensor:
    return g / g.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
