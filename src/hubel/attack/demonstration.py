"""The classic demonstration: one image, one wanted class, the smallest change that does it. Depends on pgd, running, pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.attack.pgd import pgd
from hubel.attack.result import AttackResult, eps_text
from hubel.errors import InputError
from hubel.replacing import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES: dict[str, tuple[float | str, ...]] = {"linf": ("1/255", "2/255", "3/255", "4/255", "6/255", "8/255", "16/255", "32/255"), "l2": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)}
SMALL = 3 * 64 * 64  # values of an image up to which both runs are made at once: a step costs its calls, not its pixels


@dataclass(frozen=True)
class Demonstration:
    """One attacked image: `result` holds it, at the first of the sizes tried that did it."""

    result: AttackResult
    tried: tuple[float, ...]

    @property
    def success(self) -> bool:
        return bool(self.result.success[0])

    @property
    def image(self) -> np.ndarray:
        """The adversarial, uint8 (H, W, C)."""
        return self.result.adversarials[0]

    def save(self, path: str | Path) -> Path:
        """Write the adversarial as a PNG, to a temporary name first."""
        from PIL import Image

        path = Path(path)
        if path.suffix.lower() != ".png":
            raise InputError(f"{path}: give a name that ends in .png; other formats lose the very differences that matter")
        pixels = self.image[..., 0] if self.image.shape[-1] == 1 else self.image
        with replacing(path) as partial:
            Image.fromarray(pixels).save(partial, format="PNG")
        return path

    def __str__(self) -> str:
        r = self.result
        before, after = r.classes[r.predicted_before[0]], r.classes[r.predicted_after[0]]
        if not self.success:
            return f"{before} ({r.confidence_before[0]:.0%}) withstood sizes up to {eps_text(self.tried[-1], r.norm)} ({r.norm})"
        return (f"{before} ({r.confidence_before[0]:.0%}) became {after} ({r.confidence_after[0]:.0%}) at {r.norm} size "
                f"{eps_text(r.distances[0], r.norm)}, in {r.iterations[0]} steps")

    def to_dict(self) -> dict[str, Any]:
        return {"success": self.success, "tried": list(self.tried), **self.result.to_dict()}

    def plot(self) -> Figure:
        """Draw the image, the change magnified as stated, and the adversarial, with both predictions."""
        from hubel.attack.draw import examples

        r = self.result
        before, after = (r.classes[k[0]].split(",")[0] for k in (r.predicted_before, r.predicted_after))
        return examples(r, np.array([0]), f"{before} became {after}"[:44] if self.success else f"{before} withstood"[:44])

    def _repr_html_(self) -> str:
        from hubel.attack.draw import as_html

        return as_html(self.plot(), str(self))


def demonstrate(model: Any, image: Any, target: Any = None, eps: float | str | None = None, norm: str = "linf", *,
                steps: int = 60, seed: int = 0) -> Demonstration:
    """Turn one image into `target` (a class or its name), or into anything but what it is taken for.

    eps : the size allowed; None: sizes are tried upwards until one does it. The result consists of whole 8-bit levels.
    """
    if norm not in SIZES:
        raise InputError(f"norm={norm!r}: a demonstration is for 'linf' or 'l2'")
    x = model.prepare(image)
    if len(x) != 1:
        raise InputError(f"a demonstration takes one image, not {len(x)}")
    label = int(model.logits(x)[0].argmax())
    tried: list[float] = []
    result: AttackResult | None = None
    for size in SIZES[norm] if eps is None else (eps,):
        result = pgd(model, x, [label], size, norm, steps=steps, restarts=2, target=target, seed=seed, progress=False,
                     together=x[0].numel() <= SMALL)
        tried.append(result.eps)
        if result.success[0]:
            break
    assert result is not None
    return Demonstration(result, tuple(tried))
