"""Attacks: find adversarial examples, measure robustness, certify it.

Within a ball: `fgsm`, `pgd`, `apgd`, `fab` (with eps=), `square`. The smallest change: `deepfool`, `carlini_wagner`, `fmn`,
`fab`. For many images at once: `universal`, `patch`; for another network: `transfer`. `noise` is their control. They return
an `AttackResult` or its like. `robust_evaluation` runs AutoAttack's protocol and says how far to trust it (`distrust`);
`robustness_curve` is quick. `smoothed` and `interval_bounds` certify. Depends on engine, model, look (for drawing) and pixels.
"""

from hubel.attack.apgd import apgd
from hubel.attack.bounds import Bounds, interval_bounds
from hubel.attack.carlini_wagner import carlini_wagner
from hubel.attack.certify import Certificates, smoothed
from hubel.attack.curve import RobustnessCurve, robustness_curve
from hubel.attack.deepfool import deepfool
from hubel.attack.demonstration import Demonstration, demonstrate
from hubel.attack.distrust import Distrust, Flag, distrust, sandwich
from hubel.attack.eot import Expectation
from hubel.attack.evaluated import Evaluation
from hubel.attack.evaluation import robust_evaluation
from hubel.attack.fab import fab
from hubel.attack.fmn import fmn
from hubel.attack.noise import NoiseResult, noise, noisy
from hubel.attack.patch import Patch, patch
from hubel.attack.pgd import fgsm, pgd
from hubel.attack.planted import Planted, planted
from hubel.attack.result import AttackResult
from hubel.attack.square import square
from hubel.attack.transfer import transfer
from hubel.attack.universal import Universal, universal

__all__ = [
    "AttackResult", "Bounds", "Certificates", "Demonstration", "Distrust", "Evaluation", "Expectation", "Flag", "NoiseResult",
    "Patch", "Planted", "RobustnessCurve", "Universal", "apgd", "carlini_wagner", "deepfool", "demonstrate", "distrust", "fab",
    "fgsm", "fmn", "interval_bounds", "noise", "noisy", "patch", "pgd", "planted", "robust_evaluation", "robustness_curve", "sandwich",
    "smoothed", "square", "transfer", "universal",
]
