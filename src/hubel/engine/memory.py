"""Keep freed memory for the next layer instead of giving it back to the system. Depends on the C library alone.

glibc maps every block above 32 MB afresh and unmaps it when freed, so each large activation costs a page fault per 4 KB:
the input gradient of EfficientNet-Lite0 on 32 photos took 14.1 ms an image with, 9.4 ms without (measured). Threads other
than the main one get arenas of their own, which are given back whatever is asked: so all share one (its forward pass in
such a thread: 11.9 ms an image with arenas, 9.8 ms without).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

from hubel.engine.settings import settings

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # from malloc.h


def keep_memory() -> bool:
    """Ask glibc to keep freed blocks of up to 1 GB in this process; returns whether it agreed.

    The price: the process's resident memory stays at its peak. `settings.keep_memory = False` beforehand prevents it.
    """
    return settings.keep_memory and _ask_glibc()


@cache
def _ask_glibc() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library: musl, for one
        return False
    return all([mallopt(_M_MMAP_THRESHOLD, 1 << 30), mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1), mallopt(_M_ARENA_MAX, 1)])
