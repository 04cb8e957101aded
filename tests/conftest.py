"""What all tests share."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

if "HUBEL_CACHE" not in os.environ:  # what is measured and kept during the tests leaves with them
    os.environ["HUBEL_CACHE"] = tempfile.mkdtemp(prefix="hubel-tests-")
    atexit.register(shutil.rmtree, os.environ["HUBEL_CACHE"], ignore_errors=True)
os.environ.setdefault("MPLBACKEND", "Agg")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a script: Ctrl-C is to be tested
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("hubel", deadline=None, derandomize="CI" in os.environ)  # no test asserts a time
settings.load_profile("hubel")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: HUBEL_DATA, else ../shared/data beside the repository. Skips without it."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("HUBEL_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set HUBEL_DATA")
    return folder
