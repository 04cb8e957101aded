"""Many claims in one go: those that fit in a time budget, several at once, each result kept as it is finished, one page.

    DIR/claims.html, claims.json     the page, made anew after every claim
    DIR/facts/NAME.json              a finished claim's verdict, with the key of what it was measured with
    DIR/pictures/NAME.png            its figure

Each claim runs in a process of its own with one thread. A kill loses at most the claims that were running; the same call
goes on. Depends on running, page, and on study's folder.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hubel
from hubel.errors import HubelError, InputError
from hubel.phenomena.claim import Claim
from hubel.phenomena.registry import chosen
from hubel.phenomena.running import run
from hubel.study.report.section import count
from hubel.study.store import Folder, key, pretty

DEFAULT_MINUTES = {"default": 30.0, "quick": 5.0, "smallest": 5.0}


@dataclass(frozen=True)
class Run:
    """verdicts : what each claim's `Verdict.to_dict()` says, in order, with `picture`, a file in the folder, or None.
    left_out : names of claims for which there was no time; failed : (name, message) of those that could not be measured."""

    folder: Path
    verdicts: tuple[dict[str, Any], ...]
    left_out: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def page(self) -> Path:
        return self.folder / "claims.html"

    def to_dict(self) -> dict[str, Any]:
        return {"hubel": hubel.__version__, "verdicts": list(self.verdicts), "left_out": list(self.left_out),
                "failed": [list(pair) for pair in self.failed]}


def run_all(names: Sequence[str | int] = (), *, size: str = "default", seed: int = 0, minutes: float | None = None,
            out: str | os.PathLike[str] = "hubel-claims", jobs: int | None = None,
            tell: Callable[[str], None] | None = None) -> Run:
    """Measure claims (all, where none is named) and write their page to `out`.

    minutes : a budget; a claim is started only if it is likely to end within it. None: 30 by default, 5 at the quick size;
    claims that are named are not limited. jobs : how many at once; None: one a core. What `out` holds already, measured by
    the same code with the same size and seed, is kept. Raises InputError for what cannot be used; KeyboardInterrupt after
    Ctrl-C, with everything that was finished on the page.
    """
    wanted = chosen(names)
    for claim in wanted:
        claim.cost(size)
    if minutes is not None and not 0 < minutes < float("inf"):
        raise InputError(f"minutes={minutes}: give a number above 0")
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs={jobs}: give at least 1")
    say = tell or (lambda text: None)
    workers = min(jobs or _cores(), len(wanted))
    budget = (60 * minutes if minutes is not None else float("inf") if names else 60 * DEFAULT_MINUTES[size])
    folder = Folder(out)
    folder.lock()
    try:
        return _Batch(folder, wanted, size, seed, say).carry_out(workers, budget)
    finally:
        folder.unlock()


class _Batch:
    def __init__(self, folder: Folder, wanted: Sequence[Claim], size: str, seed: int, say: Callable[[str], None]) -> None:
        self.folder, self.wanted, self.size, self.seed, self.say = folder, wanted, size, seed, say
        self.keys = {c.name: key(c.name, size, seed, _source(c), hubel.__version__, os.environ.get("HUBEL_DATA"))
                     for c in wanted}
        kept = {c.name: folder.facts(c.name, self.keys[c.name]) for c in wanted}
        self.done: dict[str, dict[str, Any]] = {name: facts for name, facts in kept.items() if facts is not None}
        self.left_out: list[str] = []
        self.failed: dict[str, str] = {}

    def carry_out(self, workers: int, budget: float) -> Run:
        ends = time.monotonic() + budget
        waiting = [c for c in self.wanted if c.name not in self.done]
        if self.done:
            self.say(f"{len(self.done)} of {len(self.wanted)} claims are in {self.folder.path} already")
        pool = ProcessPoolExecutor(max(workers, 1), multiprocessing.get_context("spawn"), initializer=_quiet)
        running: dict[Future[dict[str, Any]], Claim] = {}
        finished = False
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    claim = waiting.pop(0)
                    if time.monotonic() + claim.cost(self.size) > ends:
                        self.left_out.append(claim.name)
                        continue
                    self.say(f"{claim.number}. {claim.title}: about {claim.cost(self.size):.0f} s")
                    running[pool.submit(_measure, claim.name, self.size, self.seed, str(self.folder.path),
                                        self.keys[claim.name])] = claim
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    self._take(running.pop(future), future)
            finished = True
            return self._write()
        except KeyboardInterrupt:
            self._write()
            self.say(f"stopped: {count(len(self.done), 'claim')} {'is' if len(self.done) == 1 else 'are'} kept, the same "
                     "command goes on")
            raise
        finally:
            if not finished:  # a claim that was under way is lost; what it wrote is whole or not there
                for process in list((pool._processes or {}).values()):
                    process.kill()
            pool.shutdown(wait=True, cancel_futures=True)

    def _take(self, claim: Claim, future: Future[dict[str, Any]]) -> None:
        try:
            verdict = future.result()
        except Exception as error:  # the other claims go on; the command's exit code and the page tell
            self.failed[claim.name] = str(error) if isinstance(error, HubelError) else f"{type(error).__name__}: {error}"
            self.say(f"{claim.number}. {claim.title}: could not be measured: {self.failed[claim.name]}")
            return
        self.done[claim.name] = verdict
        self.say(f"{claim.number}. {claim.title}: {verdict['outcome'].upper()} ({verdict['seconds']:.1f} s)")
        self._write()

    def _write(self) -> Run:
        from hubel.phenomena.page import render

        verdicts = tuple(self.done[c.name] for c in self.wanted if c.name in self.done)
        result = Run(self.folder.path, verdicts, tuple(self.left_out), tuple(self.failed.items()))
        self.folder.write("claims.json", pretty(result.to_dict()))
        self.folder.write("claims.html", render(result))
        return result


def _measure(name: str, size: str, seed: int, folder: str, facts_key: str) -> dict[str, Any]:
    """In a process of its own: run, draw, keep. Pickled back is only what JSON holds."""
    from hubel.look.draw import png

    verdict = run(name, size, seed)
    kept = Folder(folder)
    kept.write(f"pictures/{name}.png", png(verdict.plot(), dpi=160))
    facts = {**verdict.to_dict(), "picture": f"pictures/{name}.png"}
    kept.keep(name, facts_key, facts)
    return facts


def _quiet() -> None:
    """Ctrl-C is the parent's to answer, its death is followed. Progress bars of the verbs would write over each other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)


def _follow() -> None:
    """End with the parent, also where it was killed: nobody would take what is measured here."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _source(claim: Claim) -> str:
    """The claim's code, however it is laid out."""
    path = sys.modules[claim.module].__file__
    return ast.dump(ast.parse(Path(path).read_text("utf-8"))) if path else ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
