"""What the Reuse tab shows, without the page: few examples and what is made of them. Depends on reuse, which learns and finds; on links."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hubel.errors import InputError
from hubel.studio import limits, parts
from hubel.studio.links import Again, Settings, command, setting, to_query
from hubel.studio.pictures import thumb, uri
from hubel.studio.prediction import opening
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


def box_strokes(box: str, pixels: np.ndarray, small: np.ndarray) -> str | None:
    """The box as if it had been painted."""
    found = box_of(box)
    if found is None:
        return None
    scale = small.shape[0] / pixels.shape[0]
    left, top, width, height = (round(v * scale) for v in found)
    painted = np.zeros((*small.shape[:2], 1), np.uint8)
    painted[max(0, top) : top + height, max(0, left) : left + width] = 255
    return uri(painted)
