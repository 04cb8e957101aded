"""The report: one HTML file from the facts of a study and the pictures beside them. No network, no JavaScript needed.

    html = render(facts, folder)
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from markupsafe import Markup

import hubel
from hubel.study.report.code import study as command_of
from hubel.study.report.headline import Key, about, headline, title
from hubel.study.report.limits import section_limits
from hubel.study.report.section import Facts, Figure, Pictures, Section
from hubel.study.report.section_accuracy import section_accuracy, section_mistakes
from hubel.study.report.section_attack import section_attack
from hubel.study.report.section_data import section_data
from hubel.study.report.section_kshot import section_kshot
from hubel.study.report.section_look import section_decisions, section_exciting, section_filters
from hubel.study.report.section_made import section_made
from hubel.study.report.section_training import section_training

__all__ = ["Figure", "Key", "Section", "document", "headline", "render", "sections"]

SECTIONS = (section_data, section_training, section_accuracy, section_mistakes, section_filters, section_exciting,
            section_decisions, section_attack, section_kshot, section_limits, section_made)


def sections(facts: Facts, folder: Path) -> list[Section]:
    """The sections for which there are facts, in the order of the report."""
    pictures = Pictures(folder)
    found = (section(facts, pictures) for section in SECTIONS)
    return [section for section in found if section is not None]


def render(facts: Facts, folder: Path) -> str:
    """The report as HTML. `folder` holds the pictures that the facts name; they are put into the page."""
    footer = Markup("Made by Hubel {} with <code>{}</code>.").format(facts["hubel"], command_of(facts))
    return document(brand="Hubel study", title=title(facts), about=about(facts), headline=headline(facts),
                    sections=sections(facts, folder), footer=footer, version=facts["hubel"])


def document(*, brand: str, title: str, about: str, headline: Sequence[Key], sections: Sequence[Section], footer: Markup,
             version: str = hubel.__version__) -> str:
    """A page of this style: a strip of key figures, contents, sections. Also what `hubel claims` writes."""
    from jinja2 import Environment, StrictUndefined

    here = resources.files(__package__)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string((here / "report.html.jinja").read_text("utf-8"))
    css = Markup((here / "report.css").read_text("utf-8"))
    return template.render(version=version, brand=brand, title=title, about=about, headline=headline, sections=sections,
                           css=css, footer=footer)
