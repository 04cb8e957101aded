"""Several processes for the price of one start: imports are done once, every run is a fork of that process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

DRIVER = r"""
import json, os, sys
script, runs, folder = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
import torch
from hubel import look, model, training
code = compile(script, "script", "exec")
for k, words in enumerate(runs):
    pid = os.fork()
    if pid == 0:
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{folder}/{k}.{name}", os.O_WRONLY | os.O_CREAT), stream)
        sys.argv = ["script", *words]
        exec(code, {"__name__": "__main__"})
        sys.stdout.flush()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def forked(script: str, runs: Sequence[Sequence[str]], folder: Path) -> list[tuple[int, str, str]]:
    """Run `script` once after another with these words as sys.argv[1:]: (exit code, or minus the signal; stdout; stderr) each.

    One thread a process: threads do not survive a fork.
    """
    folder.mkdir()
    words = [sys.executable, "-c", DRIVER, script, json.dumps([list(map(str, r)) for r in runs]), str(folder)]
    done = subprocess.run(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300, capture_output=True, text=True)
    codes = [int(line) for line in done.stdout.split()]
    assert len(codes) == len(runs), done.stderr
    return [(code, *((folder / f"{k}.{name}").read_text() for name in ("out", "err"))) for k, code in enumerate(codes)]
