"""Look inside a model: learned filters, what excites its units in DATA, inputs made to excite them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

IMAGES = 2000


def look(
    model: Annotated[str, typer.Argument(help="A model file of Hubel's, or 'efficientnet_lite0'.")],
    data: Annotated[str | None, typer.Argument(help="The data, as for 'hubel train'.")] = None,
    layer: Annotated[str | None, typer.Option(help="A layer by its dotted name.",
                                              show_default="the last with places")] = None,
    unit: Annotated[list[int] | None, typer.Option(help="A unit of the layer; may be given several times.",
                                                   show_default="the most selective ones")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("look"),
    seed: Annotated[int, typer.Option(help="The seed of synthesised inputs and of the data's split.")] = 0,
    images: Annotated[int, typer.Option(min=1, help="At most so many images of DATA are gone over.")] = IMAGES,
    place: Annotated[str, typer.Option(help="What is synthesised for a unit: 'everywhere' excites its whole map, 'centre' the "
                                            "one in the middle, so that its place and size show.")] = "everywhere",
    preset: Annotated[str | None, typer.Option(help="How inputs are synthesised: photo, strong, digit, sketch, ball, "
                                                    "yosinski-a to yosinski-d.", show_default="by size")] = None,
    between: Annotated[tuple[str, str] | None, typer.Option(
        help="Two classes of DATA: also show the units of the layer that tell them apart best.", metavar="A B")] = None,
    depth: Annotated[bool, typer.Option("--depth", help="Also measure how far each layer separates the classes of DATA.")
                     ] = False,
    layers: Annotated[bool, typer.Option("--layers", help="Only list the layers.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look inside a model: learned filters, what excites its units in DATA, inputs made to excite them.

    Writes contact sheets (PNG), facts.json and a page, index.html, that shows them. Each unit has an address, model hash /
    layer / unit / seed, and the page says how to draw it again.

    Examples:

    - hubel look efficientnet_lite0 --layers

    - hubel look efficientnet_lite0 photos/ --layer blocks.8 -o inside/

    - hubel look digits.hubel digits --layer stages.1 --unit 3 --unit 7

    - hubel look digits.hubel digits --between 3 8 --depth
    """
    import json as json_
    import shlex

    from hubel import data as room
    from hubel import look as see
    from hubel.errors import InputError, ModelError
    from hubel.look.page import write_page
    from hubel.study.opening import open_model

    opened = open_model(model)
    listed = see.layers(opened)
    if layers:
        print(json_.dumps(listed.to_dict(), indent=1) if json else listed)
        return
    if data is None and (between or depth):
        raise InputError(f"--{'between' if between else 'depth'} needs images of known classes: name the data as well")
    chosen = listed.last_map() if layer is None else listed[layer]
    source = None if data is None else room.load(data, seed=seed)
    kept = None if source is None else source.test if len(source.test) <= images else source.test.sample(images, seed)
    results: dict[str, Any] = {}
    try:
        results["filters"] = see.filters(opened)
    except ModelError as error:
        print(f"hubel: no filters: {error}")
    units = list(unit) if unit else None
    if kept is not None:
        results["exciting"] = see.exciting(opened, kept, chosen.name, units)
        units = list(results["exciting"].units)
    units = units if units is not None else list(range(min(8, chosen.channels)))
    results["synthesised"] = see.synthesise(opened, layer=chosen.name, units=units, data=kept, place=place, preset=preset,
                                          seed=seed)
    if kept is not None and between:
        results["separating"] = see.separating(opened, kept, *between, chosen.name)
    if kept is not None and depth:
        results["depth"] = see.depth(opened, kept)
    again = shlex.join(["hubel", "look", model, *([] if data is None else [data]), "--layer", chosen.name, "--seed", str(seed),
                        *([] if images == IMAGES else ["--images", str(images)]),
                        *([] if place == "everywhere" else ["--place", place]),
                        *([] if preset is None else ["--preset", preset])])
    facts = write_page(out, f"Inside {model}: {chosen.name}", results, listed, again)
    print(json_.dumps(facts, ensure_ascii=False, indent=1) if json else f"{chosen.name}: {out / 'index.html'}")
