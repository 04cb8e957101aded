"""Explain a model's answers for image files: which places and pixels they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

METHODS = ("gradcam", "gradcam_plus", "gradient", "smoothgrad", "integrated_gradients", "occlusion", "rise")


def explain(
    model: Annotated[str, typer.Argument(help="A model file of Hubel's, or 'efficientnet_lite0'.")],
    image: Annotated[list[Path], typer.Argument(help="Image files.")],
    method: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(METHODS)}; may be given several times.",
                                                     show_default="gradcam and integrated_gradients")] = None,
    label: Annotated[str | None, typer.Option("--class", help="The class to explain, by name.",
                                              show_default="the model's answer")] = None,
    check: Annotated[bool, typer.Option("--check", help="Also test each method: insertion and deletion curves, and whether "
                                                        "its maps change when the weights are shuffled.")] = False,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("explained"),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain a model's answers for image files: which places and pixels they come from.

    Writes a PNG for each method, facts.json and a page, index.html.

    Examples:

    - hubel explain efficientnet_lite0 cat.jpg dog.jpg

    - hubel explain flowers.hubel rose.png --class tulip --method occlusion --check
    """
    import json as json_
    import shlex

    from hubel import look as see
    from hubel.data import read_image
    from hubel.errors import InputError
    from hubel.look.page import write_page
    from hubel.study.opening import open_classifier

    opened = open_classifier(model)
    wrong = [m for m in method or () if m not in METHODS]
    if wrong:
        raise InputError(f"method {wrong[0]!r} is unknown: one of {', '.join(METHODS)}")
    if label is not None and label not in opened.classes:
        import difflib

        near = difflib.get_close_matches(label, opened.classes, 3, 0.3) or opened.classes[:3]
        raise InputError(f"the model has no class {label!r}: did you mean {', '.join(near)}?")
    pixels = opened.prepare([read_image(path) for path in image])
    target = None if label is None else opened.classes.index(label)
    results: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    for name in method or ("gradcam", "integrated_gradients"):
        ask = getattr(see, name)
        results[name] = ask(opened, pixels, target)
        if check:
            results[f"{name}-curves"] = see.insertion_deletion(opened, results[name])
            notes[f"{name}: alike with shuffled weights (0 is right, 1 is wrong)"] = see.randomisation(opened, ask, pixels)
    again = shlex.join(["hubel", "explain", model, *map(str, image), *(w for m in method or () for w in ("--method", m)),
                        *([] if label is None else ["--class", label]), *(["--check"] if check else [])])
    facts = write_page(out, f"Why {model} answers so", results, None, again, notes)
    first = next(iter(results.values()))
    if json:
        print(json_.dumps(facts, ensure_ascii=False, indent=1))
        return
    for path, number, p in zip(image, first.targets.tolist(), first.probabilities.tolist(), strict=True):
        print(f"{path}: {opened.classes[number]} {p:.1%}")
    print(out / "index.html")
