"""The report's last section: how it was made. Versions, machine, seed, seconds, and the command for all of it."""

from __future__ import annotations

from markupsafe import Markup

from hubel.study.report import code
from hubel.study.report.section import Facts, Pictures, Section, p


def section_made(facts: Facts, pictures: Pictures) -> Section | None:
    run = facts["run"]
    rows = [("command", Markup("<code>{}</code>").format(code.study(facts))), ("seed", facts["study"]["seed"]),
            ("date", run["date"]), ("machine", run["machine"]),
            ("versions", ", ".join(f"{name} {version}" for name, version in run["versions"].items())),
            ("seconds", ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in run["seconds"].items()))]
    if facts.get("data"):
        rows.append(("data", Markup("<code>{}</code>").format(facts["data"]["fingerprint"])))
    if facts.get("model"):
        rows.append(("model", Markup("<code>{}</code>").format(facts["model"]["hash"])))
    facts_list = Markup('<dl class="facts">{}</dl>').format(Markup("").join(
        Markup("<dt>{}</dt><dd>{}</dd>").format(name, value) for name, value in rows))
    return Section("made", "How this was made", facts_list, after=p("The facts behind every figure are in "
                   "<code>report.json</code> beside this file; the sizes of the samples were {}.",
                   facts["study"]["sizes_words"]))
