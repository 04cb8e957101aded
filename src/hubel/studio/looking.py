"""What the Look tab shows, without the page: why this answer, and what a unit is, in figures. Depends on look, which computes; on links."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hubel.errors import HubelError, InputError
from hubel.studio import parts
from hubel.studio.links import Again, Settings, command, setting, to_query
from hubel.studio.pictures import Picture, uri
from hubel.studio.prediction import likeliest, opening, short
from hubel.studio.stock import CHOSEN, Stock

METHODS = {"gradcam": "Grad-CAM: places", "integrated_gradients": "integrated gradients: pixels", "smoothgrad": "SmoothGrad: pixels",
           "gradient": "gradient: pixels", "occlusion": "occlusion: what hiding it costs"}
PATCHES = 9


@dataclass(frozen=True)
class Look(Settings):
    TAB: ClassVar[str] = "look"
    model: str = setting("")
    hash: str = setting("")
    picture: str = setting("")
    layer: str = setting("")
    unit: int = setting(0, least=0, most=100_000)
    data: str = setting("")
    method: str = setting("gradcam", one_of=tuple(METHODS))
    seed: int = setting(0, least=0, most=2**31)




def layer_choices(listed: Any) -> list[tuple[str, str]]:
    """(label, name) of the layers worth a look."""
    from hubel.look.exciting import default_layers

    found = []
    for name in default_layers(listed):
        layer = listed[name]
        sees = "the whole image" if min(layer.receptive_field) >= max(layer.image) else f"{layer.receptive_field[0]} px"
        found.append((f"{name} · {layer.channels} units · sees {sees}", name))
    return found


def first_layer(model: Any, listed: Any) -> str:
    """The deepest layer of maps whose units see at most a third of the image, parts of things, and have a filter to look at."""
    maps = [name for _, name in layer_choices(listed) if listed[name].is_map]
    filters = {name: _convolution(model, listed, name) for name in maps}
    maps = [name for name in maps if filters[name] and max(model.layer(filters[name]).kernel_size) > 1] or maps
    if not maps:
        raise InputError("this model has no layer that tells places apart: there are no units to look at")
    small = [name for name in maps if max(listed[name].receptive_field) <= max(listed[name].image) / 3]
    return small[-1] if small else maps[0]


def data_for(stock: Stock, model: Any, s: Look) -> tuple[Any, str]:
    """The images that are gone over, as `hubel look` chooses them, and what they are called."""
    name = s.data or next((n for n in (str(getattr(model, "notes", {}).get("trained on", "")), "samples") if n in stock.data), "samples")
    test = stock.source(name, 0).test
    return (test if len(test) <= CHOSEN else test.sample(CHOSEN, 0)), name


def why(model: Any, picture: Picture, s: Look) -> str:
    """The model's answer, and where it comes from."""
    from hubel import look
    from hubel.look.draw import as_tile, overlay, robust_high, signed

    found = getattr(look, s.method)(model, picture.pixels)
    heat = found.heat()[0].numpy()
    image = as_tile(found.images[0])
    high = robust_high(heat)
    shown = signed(heat, high) if found.is_signed else overlay(image, heat, high)
    rows = likeliest(model.classes, model.predict(picture.pixels)[0], 5)
    small = max(image.shape[:2]) <= 64
    name = short(found.classes[int(found.targets[0])])
    scale = f"red speaks for {html.escape(name)}, blue against it" if found.is_signed else f"bright places speak for {html.escape(name)}"
    return parts.figures([
        parts.figure(uri(_bytes(image)), "Your picture, as the model gets it", parts.predictions(rows), small=small),
        parts.figure(uri(_bytes(shown)), f"Why {name}?", f"{scale}; the scale ends at {high:.2g}: {html.escape(found.unit)}", small=small and found.is_signed)])


def unit_of(model: Any, listed: Any, data: Any, data_name: str, picture: Picture, s: Look) -> list[str]:
    """Three figures of a unit: its filter, the patches that excite it most, its activation on the picture."""
    from hubel import look
    from hubel.look.draw import as_tile, mosaic, overlay

    layer = listed[s.layer]
    best = look.exciting(model, data, s.layer, [s.unit], PATCHES)
    tiles = [best.tile(0, j) for j in range(best.activations.shape[1])]
    top = float(best.activations[0][0])
    note = (f"of {best.seen} pictures of {html.escape(data_name)}; activation {top:.3g} to {float(best.activations[0][-1]):.3g}"
            if top > 0 else f"never active in {best.seen} pictures of {html.escape(data_name)}")
    x = model.prepare(picture.pixels)
    active = look.activations(model.network, model.normalise(x), [s.layer])[s.layer][0]
    figures = [filter_figure(model, listed, s), parts.figure(uri(_bytes(mosaic(tiles, 3))), "The real patches that excite it most", note)]
    if active.ndim == 3 and min(active.shape[1:]) > 1:
        here = active[s.unit].float().numpy()
        image = as_tile(x[0])
        high = max(top, 1e-9)
        figures.append(parts.figure(uri(_bytes(overlay(image, np.maximum(here, 0), high))), "Its activation on your picture",
                                    f"at most {here.max():.3g}, on a map of {layer.shape[1]} × {layer.shape[2]}; full colour is {high:.3g}, the best patch"))
    else:
        value = float(active.flatten()[s.unit])
        figures.append(f'<div class="hb-figure"><b>Its activation on your picture</b><p>{value:.3g}: this layer has no places, one number for '
                       "the whole picture.</p></div>")
    return figures


def filter_figure(model: Any, listed: Any, s: Look) -> str:
    """The weights of the unit's own convolution as a picture, or in words where they are none."""
    from hubel import look

    name = _convolution(model, listed, s.layer)
    if name is None:
        return ('<div class="hb-figure"><b>Its filter</b><p>No single convolution makes this layer: it adds or pools what others give.</p></div>')
    try:
        found = look.filters(model, name)
    except HubelError as error:
        return f'<div class="hb-figure"><b>Its filter</b><p>{html.escape(str(error))}</p></div>'
    w = found.weights[s.unit]
    size = f"{w.shape[1]} × {w.shape[2]} pixels over {w.shape[0]} {'channel' if w.shape[0] == 1 else 'channels'}"
    if max(w.shape[1:]) == 1:
        order = np.argsort(-np.abs(w[:, 0, 0]))[:4]
        words = ", ".join(f"{w[k, 0, 0]:+.2f} × channel {k}" for k in order)
        return (f'<div class="hb-figure"><b>Its filter</b><p>{size} ({html.escape(name)}): no picture, but a mixture of the channels below. '
                f"The largest weights: {words}.</p></div>")
    what = "in colour" if w.shape[0] == 3 else "mid-grey is weight 0" if w.shape[0] == 1 else "the sum over its channels"
    return parts.figure(uri(_bytes(found.pictures()[s.unit])), "Its filter", f"{size} ({html.escape(name)}), {what}", small=True)


def _convolution(model: Any, listed: Any, layer: str) -> str | None:
    """The convolution that gives the layer's units: the layer itself, or the last before it with nothing but norm and activation between."""
    from torch import nn

    from hubel.look.capture import split

    modules = dict(model.network.named_modules())
    names = [x.name for x in listed]
    shape = listed[layer].shape
    for name in reversed(names[: names.index(layer) + 1]):
        module = modules.get(split(name)[0])
        if isinstance(module, nn.Conv2d):
            return split(name)[0] if listed[name].channels == shape[0] else None
        if name != layer and listed[name].shape != shape:
            return None
    return None


def made(model: Any, s: Look) -> str:
    """The picture that is made to excite the unit, and how far it does."""
    from hubel import look
    from hubel.look.draw import as_tile

    found = look.synthesise(model, layer=s.layer, units=[s.unit], place="everywhere", seed=s.seed)
    if found.states[0] in ("dead", "saturated"):
        return f'<div class="hb-figure"><b>Made to excite it</b><p>The unit is {found.states[0]}: nothing that was tried moves it.</p></div>'
    note = (f"mean activation {float(found.activations[0]):.3g}; under other shifts and turns {float(found.under_transforms[0]):.3g}; "
            f"noise reaches {float(found.noise[0]):.2g}")
    return parts.figure(uri(_bytes(as_tile(found.images[0]))), "Made to excite it", note, small=max(found.images.shape[-2:]) <= 64)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def again(stock: Stock, picture: Picture, s: Look) -> Again:
    data = stock.data[s.data]
    line = command("hubel", "look", stock.models[s.model], data, "--layer", s.layer, "--unit", s.unit, "--images", CHOSEN,
                   *(["--seed", s.seed] if s.seed else []))
    line += "\n" + command("hubel", "explain", stock.models[s.model], picture.file, "--method", s.method)
    code = (f"import hubel\nfrom hubel import look\nfrom hubel.data import read_image\n\n{opening(stock, s.model)}\npicture = {picture.code}\n"
            f"test = hubel.load({data!r}).test\ntest = test if len(test) <= {CHOSEN} else test.sample({CHOSEN}, 0)\n"
            f"look.exciting(model, test, {s.layer!r}, [{s.unit}]).plot()\n"
            f"look.synthesise(model, layer={s.layer!r}, units=[{s.unit}], place='everywhere', seed={s.seed}).plot()\n"
            f"look.{s.method}(model, picture).plot()")
    return Again(to_query(s), line, code)
