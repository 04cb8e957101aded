"""Say what is in a model file: classes, sizes, layers, what it was trained on."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def info(
    model: Annotated[str, typer.Argument(help="A file of Hubel's, or 'efficientnet_lite0'.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is in a model file: classes, sizes, layers, what it was trained on.

    Examples:

    - hubel info mine.hubel

    - hubel info efficientnet_lite0 --json
    """
    import json as json_

    from hubel.study.opening import open_model

    opened = open_model(model)
    summary = opened.summary(print_fn=None)
    notes = getattr(opened, "notes", {})
    if json:
        print(json_.dumps({"model": model, "hash": opened.hash, "network": type(opened.network).__name__,
                           "classes": list(opened.classes), "size": opened.size, "channels": opened.channels, "kind": opened.kind,
                           "preprocess": opened.preprocess.to_dict(),
                           "output": opened.output, "parameters": summary.parameters,
                           "multiply_adds": summary.multiply_adds, "notes": notes,
                           "layers": summary.to_dict()["rows"]}, ensure_ascii=False, indent=1))
        return
    names = ", ".join(opened.classes[:12]) + (", ..." if len(opened.classes) > 12 else "")
    size = "any size" if opened.size is None else f"{opened.size[0]} x {opened.size[1]} pixels"
    colour = {1: "grey", 3: "colour", None: "numbers, no images"}.get(opened.channels, f"{opened.channels} channels")
    print(f"{model} · {type(opened.network).__name__} · {opened.hash}")
    pre: Any = opened.preprocess
    if opened.kind == "sound":
        print(f"input    sound, {pre.length:,} samples at {pre.rate:,} a second ({pre.length / pre.rate:.2g} s), "
              + (f"as a log-mel spectrogram of {pre.bands} bands" if pre.bands else "the waveform"))
    elif opened.kind in ("series", "volume"):
        print(f"input    {opened.kind}, {pre.signals} signals")
    else:
        print(f"input    {size}, {colour}")
    print(f"classes  {len(opened.classes)}: {names}")
    for name, value in notes.items():
        print(f"{name:<8} {value if isinstance(value, str) else json_.dumps(value, ensure_ascii=False)}")
    print()
    print(summary)
