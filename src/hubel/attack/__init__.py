"""Attacks: find adversarial examples, measure robustness, certify it.

`pgd(model, x, y, eps)` and its like attack within a ball and return an `AttackResult`; `noise` is their control;
`robustness_curve` measures every size in one run. Depends on engine, model, look (for drawing) and pixels.
"""

from hubel.attack.curve import RobustnessCurve, robustness_curve
from hubel.attack.noise import NoiseResult, noise
from hubel.attack.pgd import fgsm, pgd
from hubel.attack.result import AttackResult

__all__ = ["AttackResult", "NoiseResult", "RobustnessCurve", "fgsm", "noise", "pgd", "robustness_curve"]
