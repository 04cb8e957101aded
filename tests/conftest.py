"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: HUBEL_DATA, else ../shared/data beside the repository. Skips without it."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("HUBEL_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set HUBEL_DATA")
    return folder
