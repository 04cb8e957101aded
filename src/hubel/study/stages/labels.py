"""The stage that asks how few labels would have been enough: the k-shot curve. Depends on reuse, which does the work."""

from __future__ import annotations

from typing import Any

from hubel import reuse
from hubel.study.context import Context


def labels(context: Context) -> dict[str, Any]:
    plan = context.planned
    test = context.subject.draw(plan.labelled_test)
    curve = reuse.kshot_curve(context.source.train, test, limit=plan.labelled, draws=plan.draws, seed=context.seed)
    call = (f"reuse.kshot_curve(s.source.train, s.test({plan.labelled_test}), limit={plan.labelled}, draws={plan.draws}, "
            f"seed={context.seed})")
    return {**curve.to_dict(), "call": call}
