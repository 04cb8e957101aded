"""Run one claim: repeatable to the bit, on one thread, no trace left in torch's state. Depends on claim, registry."""

from __future__ import annotations

import time

import torch
from threadpoolctl import threadpool_limits

from hubel.errors import InputError
from hubel.phenomena.claim import Claim, Verdict, judge
from hubel.phenomena.registry import find


def run(name: str | int | Claim, size: str = "default", seed: int = 0) -> Verdict:
    """Measure a claim and judge it.

    size : 'default' (under a minute or so), 'quick' (some 10 seconds) or 'smallest' (a second or two: the direction, with
    wide intervals). The same seed gives the same numbers on one machine. Raises InputError for names, sizes and seeds
    that are none.
    """
    claim = name if isinstance(name, Claim) else find(name)
    options = claim.options(size)
    if seed < 0:
        raise InputError(f"seed={seed}: give a whole number from 0 up")
    import importlib

    measure = importlib.import_module(claim.module).measure
    threads = torch.get_num_threads()
    began = time.process_time()  # of one core, whatever else the machine does
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)  # small networks gain nothing from a second one, and sums stay in one order
        try:
            with threadpool_limits(1):
                found = measure(seed, **options)
        finally:
            torch.set_num_threads(threads)
    return judge(claim, found, size, seed, time.process_time() - began)
