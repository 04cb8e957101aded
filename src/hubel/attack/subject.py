"""What is attacked: a Model, or any nn.Module from pixels in 0..1 to logits, seen through four verbs. Depends on engine.

`look` searches: the engine's fast copy, perhaps in bf16. `gradient` is the same with the gradient. `truth` decides: the
network's own weights in float32, one image at a time, as somebody who loads the saved image will run it. `predictions`
screens with the fast copy and decides with `truth` wherever the fast copy could be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hubel import engine
from hubel.attack.streams import sample_keys
from hubel.engine.choices import choose
from hubel.errors import ModelError
from hubel.model.outputs import Logits
from hubel.pixels import as_batch

# Errors of the fast copy's logits in parts of their spread over the classes: four and six times what the engine's self-tests
# allow on average over them (0.1 in bf16, 0.001 in float32); a decision nearer than this to a tie is taken by `truth`.
DOUBT = {"bf16": 0.4, "fp32": 0.006}
BLOCK = 8  # rows a matrix product handles at a time: with fewer, or a rest, some networks give other last bits


class Subject:
    """`model` under attack. Counts the images that went forwards and backwards. Raises ModelError for a non-network."""

    def __init__(self, model: Any, precision: str = "auto") -> None:
        if isinstance(model, Subject):
            model, precision = model.model, model.precision
        if not isinstance(model, nn.Module) and not (hasattr(model, "forward") and hasattr(model, "fast")):
            raise ModelError(f"an attack needs a Model or an nn.Module, not {type(model).__name__}")
        self.model: Any = model
        self.precision = precision
        self.forwards = self.backwards = 0
        self._fast: Callable[[Tensor], Tensor] | None = None
        self._key: tuple = ()
        self._full: Callable[[Tensor], Tensor] | None = None
        self.least, self.block = 1, 1  # rows to run at least, and a multiple of which to run

    @property
    def wraps_module(self) -> bool:
        return isinstance(self.model, nn.Module) and not hasattr(self.model, "fast")

    def prepare(self, x: Any) -> Tensor:
        """Return float32 pixels (N, C, H, W) in 0..1 at the model's size."""
        return as_batch(x) if self.wraps_module else self.model.prepare(x)

    def outputs(self, sample: Tensor) -> int:
        """Return how many outputs the network has."""
        return int(self.look(sample[:1]).shape[1]) if self.wraps_module else len(self.model.classes)

    def names(self, classes: int) -> tuple[str, ...]:
        """Return the class names, or numbers for a plain module."""
        return tuple(str(i) for i in range(classes)) if self.wraps_module else tuple(self.model.classes)

    def ready(self, images: Tensor) -> None:
        """Get the fast copy for inputs like `images` (up to 8 of them are run), and see whether it needs whole blocks.

        Which of them are run does not depend on their order: the copy's precision, and with it every verdict, is chosen
        by what it makes of them.
        """
        key = (tuple(images.shape[1:]), self.precision)
        if self._fast is not None and self._key == key:
            return
        names = sample_keys(images, torch.zeros(len(images)), 0)
        sample = images[sorted(range(len(images)), key=names.__getitem__)[:BLOCK]]
        self._key, self._full = key, None
        network = self.model if self.wraps_module else self.model.network
        if self.wraps_module:
            self._fast = engine.frozen(Logits(self.model), sample, self.precision)
        else:
            self._fast = self.model.fast(sample, self.precision)
        eight = sample[:1].expand(BLOCK, *sample.shape[1:]).contiguous()
        self.least, self.block = 1, 1
        if not choose(f"one row alike, {self.kind}", network, sample[:1], lambda: self._alike(eight, (1, 3))):
            self.least = 2
            if not choose(f"two rows alike, {self.kind}", network, sample[:1], lambda: self._alike(eight, (2, 3, 5))):
                self.block = BLOCK

    @property
    def kind(self) -> str:
        """'bf16' or 'fp32': what the fast copy computes in."""
        return str(getattr(self._fast, "precision", "fp32"))

    def _alike(self, eight: Tensor, counts: tuple[int, ...]) -> bool:
        """Whether a few rows alone give the bits they give among 8, forwards and backwards."""
        logits, _, gradient = self._gradient(eight, lambda z: z.logsumexp(dim=1))
        few = [self._gradient(eight[:n], lambda z: z.logsumexp(dim=1)) for n in counts]
        return all(torch.equal(z, logits[: len(z)]) and torch.equal(g, gradient[: len(g)]) for z, _, g in few)

    def look(self, x: Tensor) -> Tensor:
        """Return fast logits (N, K), no gradient."""
        self.forwards += len(x)
        with torch.no_grad():
            return self._run(self._whole(x))[: len(x)]

    def gradient(self, x: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return fast logits (N, K), the loss and its gradient: `loss` maps logits to (N,), gradient (N, C, H, W), or to k
        numbers (N, k), gradients (N, k, C, H, W)."""
        n = len(x)
        logits, values, gradient = self._gradient(self._whole(x), lambda z: loss(z[:n]))
        self.forwards += n
        self.backwards += values.numel()
        return logits[:n], values, gradient[:n]

    def truth(self, x: Tensor) -> Tensor:
        """Return logits (N, K): the model's own forward pass in float32, one image at a time."""
        self.forwards += len(x)
        with torch.no_grad():
            each = [self._forward(one) for one in x.split(1)]
        logits = torch.cat(each).float()
        if logits.isnan().any():
            raise ModelError("the network gives NaN for an image: its predictions mean nothing there")
        return logits

    def close(self, x: Tensor) -> Tensor:
        """Return logits (N, K) of a fast copy in float32, all images at once: `truth` but for the last digits."""
        if self._full is None:
            if self.kind == "fp32":
                self._full = self._run
            else:
                self._full = engine.frozen(Logits(self.model), x, "fp32") if self.wraps_module else self.model.fast(x, "fp32")
        self.forwards += len(x)
        with torch.no_grad():
            return self._full(x).float()

    def surely_not(self, x: Tensor, broken: Callable[[Tensor], Tensor]) -> Tensor:
        """Return (N,) for which points a fast float32 copy, all at once, already shows that `broken(classes)` will not hold."""
        logits = self.close(x)
        top = logits.topk(2, dim=1).values
        close = top[:, 0] - top[:, 1] <= DOUBT["fp32"] * logits.std(dim=1, correction=0).clamp_min(1e-6)
        return ~broken(logits.argmax(dim=1)) & ~close

    def direct(self, x: Tensor) -> Tensor:
        """Return the network's own logits (N, K) of a whole batch in float32, in evaluation mode, without counting."""
        return self._forward(x).float()

    def predictions(self, x: Tensor, unsure: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return (classes (N,), their confidence (N,)) that `truth` would give; most decided by the fast copy.

        `unsure(predicted) -> (N,)` says for which predictions `truth` is to be asked in any case.
        """
        logits = self.look(x)
        doubtful = self.doubtful(logits)
        if unsure is not None:
            doubtful |= unsure(logits.argmax(dim=1))
        if doubtful.any():
            logits[doubtful] = self.truth(x[doubtful])
        confidence, predicted = logits.softmax(dim=1).max(dim=1)
        return predicted, confidence

    def doubtful(self, logits: Tensor) -> Tensor:
        """Return (N,) whether the two largest fast logits are too close for the fast copy to tell which is larger."""
        top = logits.topk(2, dim=1).values
        return ~((top[:, 0] - top[:, 1]) > self.doubt(logits))

    def doubt(self, logits: Tensor) -> Tensor:
        """Return (N,): by how much a difference of two fast logits may be wrong."""
        return DOUBT[self.kind] * logits.std(dim=1, correction=0).clamp_min(1e-6)

    def _whole(self, x: Tensor) -> Tensor:
        spare = max(-len(x) % self.block, self.least - len(x))
        return x if spare <= 0 else torch.cat([x, x[-1:].expand(spare, *x.shape[1:])])

    def _gradient(self, x: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            logits = self._run(x)
            values = loss(logits)
            if values.ndim == 1:
                gradient = _slope(values, x)
            else:  # one pass back for each column, over the same graph
                last = values.shape[1] - 1
                gradient = torch.stack([_slope(values[:, k], x, k < last) for k in range(last + 1)], dim=1)
        return logits.detach(), values.detach(), gradient

    def _run(self, x: Tensor) -> Tensor:
        if self._fast is None:
            raise ModelError("call ready(sample) before looking")
        return self._fast(x)

    def _forward(self, one: Tensor) -> Tensor:
        one = one.contiguous(memory_format=torch.channels_last) if one.ndim == 4 else one
        if not self.wraps_module:
            return self.model.forward(one)
        with engine.evaluation(self.model):
            return Logits(self.model)(one)


def _slope(values: Tensor, x: Tensor, again: bool = False) -> Tensor:
    """Return the gradient of `values` (N,) with respect to x; zeros where there is none."""
    gradient = None
    if values.requires_grad:
        gradient = torch.autograd.grad(values.sum(), x, retain_graph=again, allow_unused=True)[0]
    return torch.zeros_like(x) if gradient is None else gradient.nan_to_num_(0.0, 0.0, 0.0)
