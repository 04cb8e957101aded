"""Measure what the field claims: each claim an experiment that can fail, one page of verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def claims(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Claims by name or number.",
                                                      show_default="all that fit in the time")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show all claims with their cost, and run none.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds a claim instead of a minute; wider intervals.")] = False,
    smallest: Annotated[bool, typer.Option("--smallest", help="A second or two a claim: the direction only.")] = False,
    minutes: Annotated[float | None, typer.Option(help="The time for all of it.",
                                                  show_default="30; with --quick 5; named claims: no limit")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder for the page.")] = Path("hubel-claims"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 0,
    jobs: Annotated[int | None, typer.Option(help="Claims at once.", show_default="one a core")] = None,
) -> int:
    """Measure what the field claims, and write one page of verdicts: held, did not hold, inconclusive.

    Interrupted, by Ctrl-C or worse, the same command goes on where it was. Real data sets are used from the folder that
    HUBEL_DATA names, where a claim can use them; the others run on built-in digits and photographs.

    Examples:

    - hubel claims --list

    - hubel claims --quick

    - hubel claims double-descent 17 -o lecture
    """
    import sys

    from hubel import phenomena
    from hubel.errors import InputError
    from hubel.phenomena.registry import chosen

    if quick and smallest:
        raise InputError("--quick and --smallest are two sizes: give one")
    size = "quick" if quick else "smallest" if smallest else "default"
    if show:
        print("\n".join(_listed(chosen(names or ()))))
        return 0
    result = phenomena.run_all(names or (), size=size, seed=seed, minutes=minutes, out=out, jobs=jobs,
                               tell=lambda text: print(text, file=sys.stderr, flush=True))
    for v in result.verdicts:
        print(f"{v['outcome']:>12}  {v['number']:>2}. {v['title']}")
    if result.left_out:
        print(f"left out for lack of time: {', '.join(result.left_out)}")
    print(f"page: {result.page}")
    return 1 if result.failed else 0


def _listed(found: list) -> list[str]:
    width = max(len(c.name) for c in found)
    lines = [f"{'':>3} {'name':<{width}} {'default':>8} {'quick':>6}"]
    for c in found:
        lines += [f"{c.number:>2}. {c.name:<{width}} {c.seconds[0]:>6.0f} s {c.seconds[1]:>4.0f} s", f"    {c.statement}"]
    total = [sum(c.seconds[i] for c in found) / 60 for i in (0, 1)]
    return [*lines, f"{len(found)} claims: {total[0]:.1f} minutes on one core, {total[1]:.1f} with --quick; half on two"]
