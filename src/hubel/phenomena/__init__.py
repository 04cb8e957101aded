"""The field's claims as experiments that can fail: each runs, measures, and says whether it held.

    phenomena.claims()                                what is claimed, by whom, and what it would take to hold
    verdict = phenomena.run("double-descent")         'held', 'did not hold' or 'inconclusive', with numbers and intervals
    verdict.plot()                                    the figure, for a slide
    phenomena.run_all(out="claims", minutes=10)       as many as fit, and one page

A claim is one file in `claims/`, to be read as a lesson. Depends on everything above.
"""

from hubel.phenomena.batch import Run, run_all
from hubel.phenomena.claim import Claim, Findings, Need, Verdict
from hubel.phenomena.many import Many, train_many
from hubel.phenomena.registry import claims, find
from hubel.phenomena.running import run
from hubel.phenomena.statistics import Number

__all__ = ["Claim", "Findings", "Many", "Need", "Number", "Run", "Verdict", "claims", "find", "run", "run_all", "train_many"]
