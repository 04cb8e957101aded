"""Measure a model on the test images of DATA: accuracy with its interval, per class, confusions, mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    data: Annotated[str, typer.Argument(help="The data, as for 'hubel train'.")],
    model: Annotated[str, typer.Option(help="A model file of Hubel's, or 'efficientnet_lite0'.")],
    seed: Annotated[int | None, typer.Option(help="The seed of the split into training and test images.",
                                             show_default="the one the model was trained with, else 0")] = None,
    mistakes: Annotated[Path | None, typer.Option(help="Write the misclassified to this folder, the surest "
                                                       "first.", file_okay=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a model on the test images of DATA: accuracy with its interval, per class, confusions, mistakes.

    DATA is split as it was for training, so that no image is tested that was learned from.

    Examples:

    - hubel evaluate photos/ --model flowers.hubel

    - hubel evaluate photos/ --model flowers.hubel --mistakes wrong/

    - hubel evaluate photos/ --model flowers.hubel --json > result.json
    """
    import json as json_
    import sys

    from hubel import data as room
    from hubel.study.opening import open_classifier
    from hubel.study.stages import evaluation
    from hubel.study.stages.data import fingerprint
    from hubel.study.subject import Subject

    opened = open_classifier(model)
    notes = getattr(opened, "notes", {})
    known = seed if seed is not None else int(notes.get("seed", 0))
    source = room.load(data, seed=known)
    if "data" in notes and notes["data"] != fingerprint(source):
        print(f"hubel: {model} was trained on other data, or on another split of it: some test images may have been "
              "learned from", file=sys.stderr)
    subject = Subject(opened, source, known)
    found = evaluation.evaluate(subject, len(source.test) if mistakes else 12)
    found.pop("right")
    if mistakes is not None:
        _write(mistakes, subject, found["mistakes"])
    if json:
        print(json_.dumps({"data": source.name, "model": model, "seed": known, **found}, ensure_ascii=False, indent=1))
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    low, high = found["interval"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class", overflow="fold")
    for name in ("precision", "recall", "F1", "number"):
        table.add_column(name, justify="right")
    for row in found["per_class"]:
        table.add_row(row["class"], f"{row['precision']:.1%}", f"{row['recall']:.1%}", f"{row['f1']:.1%}", f"{row['n']:,}")
    console = Console(highlight=False)
    console.print(f"accuracy {found['accuracy']:.1%}: {found['correct']:,} of {found['n']:,} in the test set; 95% interval "
                  f"{low:.1%} to {high:.1%}", markup=False)
    console.print(table)
    for pair in found["confused"][:5]:
        console.print(f"{pair['true']} taken for {pair['predicted']}: {pair['count']}", markup=False)


def _write(folder: Path, subject: Any, wrong: list[dict[str, Any]]) -> None:
    """Files named by rank, truth and answer: PNGs, WAVs, or CSV tables of series."""
    import re

    import numpy as np
    from PIL import Image

    from hubel.data import write_sound

    folder.mkdir(parents=True, exist_ok=True)
    for rank, m in enumerate(wrong, 1):
        path = folder / re.sub(r"[^\w.-]+", "-", f"{rank:04}-{m['true']}-taken-for-{m['predicted']}")
        item = subject.test[m["index"]][0]
        if subject.test.kind == "sound":
            write_sound(f"{path}.wav", item, subject.test.rate)
        elif subject.test.kind == "series":
            np.savetxt(f"{path}.csv", item, delimiter=",")
        else:
            Image.fromarray(item.squeeze()).save(f"{path}.png")
