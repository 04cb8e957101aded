"""Links restore what they were made of, and say in a sentence what they cannot restore."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubel.studio.breaking import Break
from hubel.studio.claims import Claims
from hubel.studio.coding import Encode
from hubel.studio.filtering import Filter
from hubel.studio.links import Settings, command, from_query, setting, to_query
from hubel.studio.looking import Look
from hubel.studio.reusing import Reuse
from hubel.studio.teaching import Train

VIEWS = (Filter, Train, Look, Break, Reuse, Encode, Claims)


@dataclass(frozen=True)
class Everything(Settings):
    TAB: ClassVar[str] = "everything"
    name: str = setting("")
    number: int = setting(3, least=0, most=9)
    share: float = setting(0.5, least=0, most=1)
    flag: bool = setting(True)


def back(settings):
    query = dict(parse_qsl(to_query(settings)[1:]))
    assert query.pop("tab") == settings.TAB
    return from_query(type(settings), query)


@given(st.builds(Everything, name=st.text(max_size=50).filter(lambda s: "\x00" not in s and s.isprintable()), number=st.integers(0, 9),
                 share=st.floats(0, 1).map(lambda v: float(f"{v:.10g}")), flag=st.booleans()))
def test_any_settings_come_back(settings):
    assert back(settings) == (settings, [])


@pytest.mark.parametrize("view", VIEWS)
def test_defaults_need_no_words(view):
    assert to_query(view()) == f"?tab={view.TAB}"
    assert back(view()) == (view(), [])


@pytest.mark.parametrize("view", VIEWS)
def test_every_bound_is_kept_to(view):
    for f in fields(view):
        if f.metadata.get("most") is not None:
            settings, said = from_query(view, {f.name: str(f.metadata["most"] * 10 + 10)})
            assert getattr(settings, f.name) == f.default
            assert len(said) == 1 and f.name in said[0]
        if f.metadata.get("one_of"):
            _, said = from_query(view, {f.name: "no such thing"})
            assert "none of" in said[0]


@pytest.mark.parametrize(("query", "words"), [({"number": "x"}, "no whole number"), ({"share": "nan"}, "outside"), ({"flag": "yes"}, "neither 0 nor 1"),
                                              ({"name": "a" * 5000}, "5000 characters"), ({"number": "-1"}, "outside 0 to 9")])
def test_what_cannot_be_read_is_said(query, words):
    settings, said = from_query(Everything, query)
    assert settings == Everything()
    assert words in said[0]


def test_unknown_names_are_ignored():
    assert from_query(Everything, {"utm_source": "mail", "number": "4"}) == (replace(Everything(), number=4), [])


def test_commands_are_quoted():
    assert command("hubel", "attack", "my model.hubel", None, False, 3) == "hubel attack 'my model.hubel' 3"
