"""A digits model trained through the studio itself, small enough to be looked at and broken in moments."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubel.studio import teaching
from hubel.studio.stock import Stock


@pytest.fixture(scope="session")
def work(tmp_path_factory) -> Path:
    """A work folder with one model, trained on the digits for four epochs; its name is `trained(work)`."""
    folder = tmp_path_factory.mktemp("studio")
    stock = Stock(work=folder)
    taught, found = teaching.teach(stock, teaching.Train(epochs=4), teaching.Run())
    assert not taught.interrupted and found is not None and found["accuracy"] > 0.8
    return folder


@pytest.fixture(scope="session")
def trained(work) -> str:
    return next(work.glob("*.hubel")).name


@pytest.fixture
def stock(work) -> Stock:
    return Stock(work=work)


@pytest.fixture(scope="session")
def server(work, trained) -> Iterator[str]:
    """The studio in a process of its own, on the small digits model and the built-in pictures: its URL."""
    code = ("import sys; from pathlib import Path; from hubel.studio import launch; "
            "launch(sys.argv[1], ['digits'], port=int(sys.argv[3]), work=Path(sys.argv[2]))")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", code, str(work / trained), str(work), str(port)], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Hubel studio: " in line:
                break
        assert "Hubel studio: " in said, said
        yield said.split("Hubel studio: ")[1].split()[0]
    finally:
        process.terminate()
        process.wait(20)
