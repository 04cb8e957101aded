"""`hubel serve` as people run it: a process, real connections, and a stop that answers what is in hand."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from asking import encoded

from hubel import Model
from hubel.cli import run

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(model.save(tmp_path_factory.mktemp("served") / "tiny.hubel"))


@contextmanager
def served(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen([sys.executable, "-m", "hubel.cli", "serve", *words, "--port", "0"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[^ ]+", line)
        assert found, line + process.communicate()[1]
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


def fetch(url: str, body: bytes | None = None, kind: str = "image/png") -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(url, body, {"Content-Type": kind} if body is not None else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_is_in_hand(file: str, pictures: np.ndarray, number: signal.Signals) -> None:
    with served(file) as (process, address):
        assert fetch(f"{address}/predict", encoded(pictures[0]))[0] == 200
        answers: list[tuple[int, dict[str, object]]] = []
        threads = [threading.Thread(target=lambda: answers.append(fetch(f"{address}/attack?steps=5", encoded(pictures[1]))))
                   for _ in range(3)]
        for t in threads:
            t.start()
        while fetch(f"{address}/health")[1]["slow_waiting"] == 0 and not answers:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        for t in threads:
            t.join()
        assert process.returncode == 0 and out == "stopped\n" and err == ""
        assert answers and all(status == 200 for status, _ in answers[:1])
        with pytest.raises(urllib.error.URLError):
            fetch(f"{address}/health")


def test_errors_come_in_one_line(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(file) as (_, address):
        port = address.rsplit(":", 1)[1]
        assert run(["serve", file, "--port", port]) == 2
        assert "cannot listen at 127.0.0.1" in capsys.readouterr().err
        status, facts = fetch(f"{address}/predict", b"x" * 20_000_000)
        assert status == 413 and "16 MB" in str(facts["error"])
        assert fetch(f"{address}/health")[0] == 200
    for words, says in ((["serve", file, "--host", "0.0.0.0"], "--token or --auth"), (["serve", str(tmp_path / "no.hubel")], "does not exist"),
                        (["serve", file, "--precision", "int8"], "auto or fp32")):
        assert run(words) == 2
        captured = capsys.readouterr().err
        assert says in captured and captured.count("\n") == 1
