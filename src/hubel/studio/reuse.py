"""The Reuse tab: a classifier from a few pictures of each class, or one example found again in other photos.

Depends on reuse, which learns and finds; on parts.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import gradio as gr
import numpy as np

from hubel.errors import InputError
from hubel.studio import limits, parts, widgets
from hubel.studio.links import Again, Settings, command, setting, to_query
from hubel.studio.parts import Update, View
from hubel.studio.pictures import shown as smaller
from hubel.studio.pictures import thumb, uri
from hubel.studio.prediction import opening
from hubel.studio.sessions import Done
from hubel.studio.stock import Stock

CLASSES = "things=motorcycle,coffee;stuff=bricks,gravel"
PHOTOS = "grass,rocket,clock,cat,moon"
MOST = 60  # pictures in all
COIN = "132,28,47,46"


@dataclass(frozen=True)
class Reuse(Settings):
    TAB: ClassVar[str] = "reuse"
    mode: str = setting("classify", one_of=("classify", "find"))
    classes: str = setting(CLASSES)
    photos: str = setting(PHOTOS)
    example: str = setting("coins")
    box: str = setting(COIN)
    among: str = setting("coins")
    model: str = setting("")


VIEW = Reuse

Groups = list[tuple[str, list[str]]]


def groups_of(text: str) -> Groups:
    """'a=x,y;b=z' as [('a', ['x', 'y']), ('b', ['z'])]."""
    found = []
    for part in text.split(";"):
        name, equals, keys = part.partition("=")
        if equals:
            found.append((name, [k for k in keys.split(",") if k]))
    return found


def text_of(groups: Groups) -> str:
    clean = [("".join(c for c in name if c not in "=;,") or "class", keys) for name, keys in groups]
    return ";".join(f"{name}={','.join(keys)}" for name, keys in clean)


def there(stock: Stock, keys: list[str]) -> list[str]:
    """Those of the pictures that are here: the built-in ones depend on what is installed."""
    return [k for k in keys if k in stock.pictures]


def value_of(stock: Stock, groups: Groups, named: bool) -> dict[str, Any]:
    """The value of a widget of groups."""
    pictures = {k: stock.picture(k) for _, keys in groups for k in keys if k in stock.pictures}
    return {"named": named, "groups": [{"name": name, "keys": there(stock, keys)} for name, keys in groups],
            "thumbs": {k: thumb(p.pixels) for k, p in pictures.items()}, "names": {k: p.name for k, p in pictures.items()}}


def classified(stock: Stock, model: Any, s: Reuse) -> list[tuple[str, list[tuple[str, float]]]]:
    """For each photo its key, and its classes with their probabilities."""
    from hubel.reuse import FewShotClassifier

    groups = [(name, there(stock, keys)) for name, keys in groups_of(s.classes)]
    groups = [(name, keys) for name, keys in groups if keys]
    if len(groups) < 2:
        raise InputError("a classifier needs two classes with a picture each: drop some")
    names = [name for name, _ in groups]
    if len(set(names)) < len(names):
        raise InputError(f"two classes are called {next(n for n in names if names.count(n) > 1)!r}: give them different names")
    photos = there(stock, s.photos.split(","))
    if not photos:
        raise InputError("there are no photos to classify: drop some")
    if sum(len(keys) for _, keys in groups) + len(photos) > MOST:
        raise InputError(f"there are more than {MOST} pictures: take some away, or use 'hubel fewshot' on folders")
    images = [stock.picture(k).pixels for _, keys in groups for k in keys]
    labels = [name for name, keys in groups for _ in keys]
    learned = FewShotClassifier(model).fit(images, labels)
    probabilities = learned.predict_proba([stock.picture(k).pixels for k in photos])
    return [(k, sorted(zip(map(str, learned.classes_), map(float, p), strict=True), key=lambda row: -row[1]))
            for k, p in zip(photos, probabilities, strict=True)]


def box_of(text: str) -> tuple[float, float, float, float] | None:
    """'left,top,width,height' or ''."""
    if not text:
        return None
    try:
        left, top, width, height = (float(v) for v in text.split(","))
    except ValueError as error:
        raise InputError(f"the box {text[:30]!r} is not left,top,width,height") from error
    return left, top, width, height


def box_around(strokes: str, shape: tuple[int, ...]) -> str:
    """The rectangle around what was painted, in the picture's pixels; '' where nothing was."""
    data, name = limits.file_of(strokes, "strokes.png")
    painted = limits.picture(data, name)[..., 0] > 100
    rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
    if not len(rows):
        return ""
    scale = shape[0] / painted.shape[0], shape[1] / painted.shape[1]
    top, left = int(rows[0] * scale[0]), int(columns[0] * scale[1])
    return f"{left},{top},{max(8, round((columns[-1] + 1) * scale[1]) - left)},{max(8, round((rows[-1] + 1) * scale[0]) - top)}"


def found_again(stock: Stock, model: Any, s: Reuse) -> list[tuple[str, Any]]:
    """For each photo its key and what `reuse.find` found there."""
    from hubel.reuse import find

    example = stock.picture(s.example)
    photos = there(stock, s.among.split(","))
    if not photos:
        raise InputError("there are no photos to look in: drop some")
    return list(zip(photos, find(example.pixels, [stock.picture(k).pixels for k in photos], box_of(s.box), model=model), strict=True))


def page_of_classes(stock: Stock, rows: list[tuple[str, list[tuple[str, float]]]]) -> str:
    figures = []
    for key, row in rows:
        picture = stock.picture(key)
        figures.append(parts.figure(uri(picture.pixels, 360), f"{picture.name}: {row[0][0]}", parts.predictions(row[:4])))
    return parts.figures(figures)


def page_of_places(stock: Stock, rows: list[tuple[str, Any]]) -> str:
    figures = []
    for key, found in rows:
        height, width = found.image.shape[:2]
        boxes = ""
        for match in found.matches:
            left, top, wide, high = match.box
            sure = "" if match.score >= found.threshold else " hb-unsure"
            boxes += (f'<span class="hb-box{sure}" style="left:{100 * left / width:.2f}%;top:{100 * top / height:.2f}%;width:{100 * wide / width:.2f}%;'
                      f'height:{100 * high / height:.2f}%"><span>{match.score:.2f}</span></span>')
        name = html.escape(stock.picture(key).name)
        many = sum(m.score >= found.threshold for m in found.matches)
        note = f"{many} {'place' if many == 1 else 'places'} with a score of {found.threshold:g} and more; best {found.best.score:.2f}"
        figures.append(f'<figure class="hb-figure"><figcaption><b>{name}</b></figcaption><div class="hb-frame"><img alt="{name} with boxes" '
                       f'src="{uri(found.image)}">{boxes}</div><p>{note}</p></figure>')
    return parts.figures(figures)


def again(stock: Stock, s: Reuse) -> Again:
    model = "" if stock.models[s.model] == stock.models.get("efficientnet_lite0") else f"model={opening(stock, s.model).removeprefix('model = ')}"
    other = ["--model", stock.models[s.model]] if model else []
    if s.mode == "find":
        photos = [stock.picture(k) for k in there(stock, s.among.split(","))]
        example = stock.picture(s.example)
        line = command("hubel", "find", example.file, *(p.file for p in photos), *(["--box", s.box] if s.box else []), "-o", "found", *other)
        code = (f"import hubel\nfrom hubel.data import read_image\nfrom hubel.reuse import find\n\nexample = {example.code}\n"
                f"photos = [{', '.join(p.code for p in photos)}]\n"
                f"found = find(example, photos, {box_of(s.box)}{', ' + model if model else ''})\nfound[0].plot()")
        return Again(to_query(s), line, code)
    groups = [(name, there(stock, keys)) for name, keys in groups_of(s.classes)]
    images = ",\n          ".join(stock.picture(k).code for _, keys in groups for k in keys)
    labels = [name for name, keys in groups for _ in keys]
    photos = [stock.picture(k) for k in there(stock, s.photos.split(","))]
    line = (f"# the classes' pictures in a folder for each: examples/{'/ examples/'.join(name for name, _ in groups)}/\n"
            + command("hubel", "fewshot", "examples", "-o", "mine.hubel", *other) + "\n"
            + command("hubel", "predict", *(p.file for p in photos), "--model", "mine.hubel"))
    code = (f"import hubel\nfrom hubel.data import read_image\nfrom hubel.reuse import FewShotClassifier\n\nimages = [{images}]\nlabels = {labels!r}\n"
            f"learned = FewShotClassifier({model}).fit(images, labels)\n"
            f"learned.predict_proba([{', '.join(p.code for p in photos)}])\nlearned.save('mine.hubel')")
    return Again(to_query(s), line, code)


def build(stock: Stock) -> View:
    """Make the tab's components and wire them; call within a gr.Tab."""
    first = stock.first_model
    with gr.Row(elem_classes="hb-view"):
        with gr.Column(scale=1, min_width=300, elem_classes="hb-controls"):
            mode = gr.Radio([("Classify", "classify"), ("Find", "find")], value="classify", label="From a few examples", elem_classes="hb-segments")
            classes = widgets.groups({})
            photos = widgets.groups({})
            picked = widgets.picker({"group": "reuse-example", "label": "example", "own": True, "chosen": "", "choices": []}, visible=False)
            paper = widgets.paint({"size": None}, visible=False)
            among = widgets.groups({}, visible=False)
            model = gr.Dropdown(list(stock.models), value=first, label="Features of", filterable=False)
        with gr.Column(scale=3, min_width=320):
            line, stop = parts.status(stock, "reuse")
            shown = gr.HTML("")
            footer = parts.footer()
    inputs = {"mode": mode, "classes": classes, "photos": photos, "picked": picked, "paper": paper, "among": among, "model": model}
    outputs = [*inputs.values(), line, stop, shown, footer]

    def read(request: gr.Request, values: dict[str, Any]) -> Reuse:
        def said(name: str) -> Groups:
            return [(g["name"], list(g["keys"])) for g in (values[name] or {}).get("groups", [])]

        example = (values["picked"] or {}).get("chosen") or "coins"
        paper, kept = values["paper"] or {}, stock.sessions[request.session_hash].kept
        box = kept.get("reuse box", "")
        if paper.get("strokes") and paper.get("version") == example:
            box = box_around(paper["strokes"], stock.picture(example).pixels.shape)
        return Reuse(mode=values["mode"], classes=text_of(said("classes")), photos=",".join(k for _, keys in said("photos") for k in keys),
                     example=example, box=box, among=",".join(k for _, keys in said("among") for k in keys), model=values["model"])

    def show(request: gr.Request, s: Reuse) -> Iterator[Update]:
        session = stock.sessions[request.session_hash]
        if s.example not in stock.pictures:
            s = replace(s, example=stock.pictures.first, box="", among=stock.pictures.first)
        s = replace(s, model=s.model or first)
        session.kept["reuse box"] = s.box
        own, find = stock.model(session, s.model), s.mode == "find"
        example = stock.picture(s.example)
        small = smaller(example.pixels, 400)
        yield {mode: s.mode, classes: gr.update(value=value_of(stock, groups_of(s.classes), True), visible=not find),
               photos: gr.update(value=value_of(stock, [("photos to classify", s.photos.split(","))], False), visible=not find),
               among: gr.update(value=value_of(stock, [("photos to look in", s.among.split(","))], False), visible=find),
               picked: gr.update(value=parts.choices(stock, s.example, "reuse-example", most=16), visible=find),
               paper: gr.update(value={"image": uri(small), "size": list(small.shape[:2]), "ink": "#00a98f", "brush": 6, "version": s.example,
                                       "title": "the example: paint over the object", "strokes": _box_strokes(s.box, example.pixels, small)},
                                visible=find),
               model: gr.update(value=s.model, choices=list(stock.models)), footer: parts.again_value(s, again(stock, s))}

        def work() -> str:
            return page_of_places(stock, found_again(stock, own, s)) if find else page_of_classes(stock, classified(stock, own, s))

        for step in parts.follow(session.run("reuse", work, "looking" if find else "learning"), line, stop):
            yield {shown: step.value, line: "", stop: gr.update(visible=False)} if isinstance(step, Done) else step

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, read(request, dict(zip(inputs, values, strict=True))))

    def other_example(request: gr.Request, *values: Any) -> Iterator[Update]:
        stock.sessions[request.session_hash].kept["reuse box"] = ""
        yield from show(request, read(request, dict(zip(inputs, values, strict=True))))

    def dropped_example(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
        picture = stock.pictures.drop(event.data, event.name)
        yield from show(request, replace(read(request, dict(zip(inputs, values, strict=True))), example=picture.key, box=""))

    def dropped(which: str) -> Any:
        def take(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
            key = stock.pictures.drop(event.data, event.name).key
            s = read(request, dict(zip(inputs, values, strict=True)))
            if which == "classes":
                groups = groups_of(s.classes)
                number = min(max(int(event.group), 0), len(groups) - 1)
                groups[number] = (groups[number][0], [*groups[number][1], key])
                s = replace(s, classes=text_of(groups))
            else:
                s = replace(s, **{which: ",".join([*filter(None, getattr(s, which).split(",")), key])})
            yield from show(request, s)

        return take

    answer = parts.answering(line)
    live: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "trigger_mode": "always_last"}
    gr.on([mode.input, classes.input, photos.input, among.input, paper.input, model.input], answer(changed), list(inputs.values()), **live)
    picked.input(answer(other_example), list(inputs.values()), **live)
    picked.drop_file(answer(dropped_example), list(inputs.values()), **live)
    for name, component in (("classes", classes), ("photos", photos), ("among", among)):
        component.drop_file(answer(dropped(name)), list(inputs.values()), outputs=outputs, show_progress="hidden", trigger_mode="multiple",
                            concurrency_limit=1)
    return View(Reuse, inputs, outputs, show, status=line)


def _box_strokes(box: str, pixels: np.ndarray, small: np.ndarray) -> str | None:
    """The box as if it had been painted."""
    found = box_of(box)
    if found is None:
        return None
    scale = small.shape[0] / pixels.shape[0]
    left, top, width, height = (round(v * scale) for v in found)
    painted = np.zeros((*small.shape[:2], 1), np.uint8)
    painted[max(0, top) : top + height, max(0, left) : left + width] = 255
    return uri(painted)
