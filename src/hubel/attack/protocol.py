"""Which attacks an evaluation consists of, in which order. Depends on the attacks.

'standard' is AutoAttack's (Croce and Hein 2020, arXiv:2003.01690), for l1 with the counts of Croce and Hein 2021
(arXiv:2103.01208) but without their start from larger balls; runs that will hardly get there end early (`pace`), those of APGD
for l1 excepted, unless `give_up` is false. 'plus' adds untargeted DLR and FAB and restarts, and never gives up. 'rand' is for
networks with random parts, averaged over 20 passes. 'fast' is a fifth of the standard's white-box work and no more: an upper
bound to look at while working.
"""

from __future__ import annotations

from dataclasses import dataclass

from hubel.attack.apgd import APGD
from hubel.attack.fab import FAB
from hubel.attack.loop import Search
from hubel.attack.square import Square
from hubel.errors import InputError

VERSIONS = ("standard", "fast", "plus", "rand")
RAND_SAMPLES = 20  # passes that AutoAttack's rand averages over


@dataclass(frozen=True)
class Stage:
    """One attack of a protocol: `runs` of it, or where `runners_up` is above 0 one run towards each of so many classes."""

    search: Search
    runs: int = 1
    runners_up: int = 0

    @property
    def name(self) -> str:
        return self.search.name


def protocol(version: str, norm: str, give_up: bool = True) -> list[Stage]:
    """Return the stages of a version for a norm. Raises InputError for unknown ones, and for l0."""
    if version not in VERSIONS:
        raise InputError(f"version={version!r} is unknown: one of {', '.join(VERSIONS)}")
    if norm == "l0":
        raise InputError("norm='l0' has no standard protocol: use pgd or fmn")
    sparse, give_up = norm == "l1", give_up and version in ("standard", "fast")
    climbers = give_up and not sparse  # sparse steps find their values late: giving up cost a tenth of the successes
    ce, targeted = (APGD(norm, 100, loss, name, climbers) for loss, name in (("ce", "apgd"), ("dlr", "apgd-t")))
    if version == "fast":
        return [Stage(APGD(norm, 40, "ce", "apgd", climbers)), Stage(APGD(norm, 40, "dlr", "apgd-t", climbers), runners_up=3)]
    if version == "rand":
        return [Stage(ce), Stage(APGD(norm, 100, "dlr", "apgd"))]
    fab_t, last = FAB(norm, 100, name="fab-t", give_up=give_up), Square(norm, 5000, give_up=give_up)
    if version == "standard":
        return [Stage(ce, 5 if sparse else 1), Stage(targeted, runners_up=5 if sparse else 9), Stage(fab_t, runners_up=9),
                Stage(last)]
    return [Stage(ce, 5), Stage(APGD(norm, 100, "dlr", "apgd"), 5), Stage(FAB(norm, 100, give_up=False), 5), Stage(last),
            Stage(targeted, runners_up=9), Stage(fab_t, runners_up=9)]
