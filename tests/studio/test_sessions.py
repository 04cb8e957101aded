"""Long work is heard of, can be stopped, and belongs to one browser tab."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace

import pytest

from hubel.errors import InputError
from hubel.progress import heard_by, tell
from hubel.studio import parts
from hubel.studio.sessions import Done, Progress, Session, Sessions, Stopped


def counting(steps: int, pause: float = 0.02, seen: list | None = None):
    def work():
        for i in range(steps):
            if seen is not None:
                seen.append(i)
            tell("counting", i + 1, steps)
            time.sleep(pause)
        return steps

    return work


def test_progress_then_the_answer():
    steps = list(Session().run("view", counting(30), "starting"))
    assert isinstance(steps[-1], Done) and steps[-1].value == 30
    shares = [s.share for s in steps[:-1]]
    assert shares and shares == sorted(shares) and isinstance(steps[0], Progress) and steps[0].what == "counting"


def test_quick_work_shows_no_bar():
    steps = list(Session().run("view", lambda: 7))
    assert [s.value for s in steps if isinstance(s, Done)] == [7]
    assert len(steps) <= 2


def test_stopping_ends_it_at_its_next_step():
    session, seen = Session(), []
    steps = session.run("view", counting(1000, seen=seen))
    next(steps)
    assert session.stop("view")
    with pytest.raises(Stopped):
        list(steps)
    count = len(seen)
    time.sleep(0.1)
    assert len(seen) == count < 1000


def test_what_goes_wrong_is_handed_on():
    def fails():
        raise InputError("no such thing")

    with pytest.raises(InputError, match="no such thing"):
        list(Session().run("view", fails))


def test_a_reader_that_goes_away_ends_it():
    session, seen = Session(), []
    steps = session.run("view", counting(1000, seen=seen))
    next(steps)
    steps.close()
    time.sleep(0.15)
    count = len(seen)
    time.sleep(0.1)
    assert len(seen) == count < 1000


def test_a_new_turn_of_the_same_view_ends_what_the_old_one_does():
    session, seen = Session(), []
    first = session.turn("view")
    old = session.run("view", counting(1000, seen=seen))
    next(old)
    assert first()
    second = session.turn("view")
    assert list(session.run("view", lambda: "new"))[-1].value == "new"
    with pytest.raises(Stopped):
        list(old)
    assert second() and not first() and session.turn("another") and second()
    assert session.jobs == {"view": []}


def test_what_was_asked_earlier_says_no_more_once_something_else_is_asked(monkeypatch):
    """Whatever the order in which two handlers go on, each between any two of its steps."""
    monkeypatch.setattr(parts, "APART", 0)
    request = SimpleNamespace(session_hash="s")
    for order in sorted(set(itertools.permutations("aaabbb"))):
        stock = SimpleNamespace(sessions=Sessions())

        def handler(request, name, stock=stock):
            yield f"{name} begins"
            *_, done = stock.sessions["s"].run("view", lambda: f"{name} ends", alone=False)
            yield done.value

        answer = parts.answering("line", stock, "view")(handler)
        both = {name: answer(request, name) for name in "ab"}
        heard = [next(both[name], None) for name in order]
        later = max("ab", key=order.index)
        assert [words for words in heard if isinstance(words, str)][-2:] == [f"{later} begins", f"{later} ends"]
        last = [update for name, update in zip(order, heard, strict=True) if name != later and update is not None][-1]
        assert last == f"{order[0]} ends" or last == {"line": {"__type__": "update"}}  # which Gradio says once more when that event ends


def test_beside_an_answer_nothing_is_ended():
    stock, request = SimpleNamespace(sessions=Sessions()), SimpleNamespace(session_hash="s")
    decorate = parts.answering("line", stock, "view")

    def handler(request):
        yield "one"
        yield "two"

    main = decorate(handler)(request)
    assert next(main) == "one"
    assert list(decorate(lambda request: "beside", beside=True)(request)) == ["beside"]
    assert list(main) == ["two"]


def test_views_of_one_session_take_turns_and_sessions_do_not_wait():
    one, two, running, most = Session(), Session(), [], []

    def work():
        running.append(1)
        most.append(len(running))
        time.sleep(0.1)
        running.pop()

    threads = [threading.Thread(target=lambda v=v: list(one.run(v, work))) for v in "abc"]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert max(most) == 1
    barrier = threading.Barrier(2, timeout=5)
    threads = [threading.Thread(target=lambda s=s: list(s.run("view", barrier.wait))) for s in (one, two)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not barrier.broken


def test_a_gentle_halt_is_asked_instead_of_raising():
    session, halted = Session(), threading.Event()

    def work():
        while not halted.is_set():
            tell("waiting", 0, 1)
            time.sleep(0.01)
        return "saved"

    steps = session.run("train", work, halt=halted.set)
    next(steps)
    session.stop()
    assert list(steps)[-1].value == "saved"


def test_sessions_are_told_apart_and_forgotten():
    sessions = Sessions()
    sessions["a"].kept["x"] = 1
    assert "x" not in sessions["b"].kept and sessions["a"].kept["x"] == 1
    sessions.forget("a")
    assert "x" not in sessions["a"].kept
    for i in range(100):
        sessions[str(i)]
    assert len(sessions) == 64


def test_models_are_copied_for_each_session(stock, trained):
    one, two = (stock.model(s, trained) for s in (Session(), Session()))
    assert one.hash == two.hash and one.network is not two.network
    assert one.network.stem.weight.data_ptr() != two.network.stem.weight.data_ptr()


def test_listeners_belong_to_their_thread():
    heard = []
    with heard_by(lambda *told: heard.append(told)):
        tell("here", 1, 2)
        other = threading.Thread(target=tell, args=("there", 1, 2))
        other.start()
        other.join()
    tell("after", 1, 2)
    assert heard == [("here", 1, 2)]
