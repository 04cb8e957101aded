"""explain and attack: one after the other, in a thread of their own. Depends on look, attack, model and inputs.

They run on a second copy of the network: explaining reads layers through hooks, which must not see the inputs that
the batches of `quick` send through theirs.
"""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np

from hubel.errors import InputError
from hubel.model.naming import class_number
from hubel.serve.inputs import Reader
from hubel.serve.refusal import Refusal

JSON, PNG = b"application/json", b"image/png"


class Slow:
    """Answers explain and attack for one model. Its methods are called from one thread."""

    def __init__(self, model: Any, reader: Reader) -> None:
        self.model = model.twin()
        self.reader = reader

    def __call__(self, verb: str, data: bytes, options: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return the body and its type. Raises Refusal."""
        image = self.reader.read(data, "the image")
        if len(image) != 1:
            raise Refusal(422, f"the array holds {len(image)} images: send one to /{verb}")
        try:
            return self._explain(image, options) if verb == "explain" else self._attack(image, options)
        except InputError as error:
            raise Refusal(422, str(error)) from error

    def _explain(self, image: Any, options: dict[str, Any]) -> tuple[bytes, bytes]:
        from hubel import look

        target = None if options["class"] is None else class_number(options["class"], self.model.classes)
        found = getattr(look, options["method"])(self.model, image, target)
        if options["answer"] == "figure":
            return figure_png(found.plot()), PNG
        heat = found.heat()[0]
        facts = {"method": found.method, "layer": found.layer, "model": found.model, "class": self.model.classes[found.targets[0]],
                 "number": int(found.targets[0]), "probability": round(float(found.probabilities[0]), 6), "unit": found.unit,
                 "size": list(heat.shape), "heat": [[float(f"{v:.5g}") for v in row] for row in heat.tolist()]}
        return json.dumps(facts, ensure_ascii=False).encode(), JSON

    def _attack(self, image: Any, options: dict[str, Any]) -> tuple[bytes, bytes]:
        from hubel.attack import demonstrate

        target = None if options["target"] is None else class_number(options["target"], self.model.classes)
        found = demonstrate(self.model, image, target, options["eps"], options["norm"], steps=options["steps"],
                            seed=options["seed"])
        if options["answer"] == "figure":
            return figure_png(found.plot()), PNG
        picture = png(found.image)
        if options["answer"] == "png":
            return picture, PNG
        r = found.result
        facts = {"model": self.model.hash, "success": found.success, "norm": r.norm, "tried": list(found.tried),
                 "distance": None if np.isnan(r.distances[0]) else float(r.distances[0]), "steps": int(r.iterations[0]),
                 "before": self._answer(r.predicted_before[0], r.confidence_before[0]),
                 "after": self._answer(r.predicted_after[0], r.confidence_after[0]),
                 "image": base64.b64encode(picture).decode()}
        return json.dumps(facts, ensure_ascii=False).encode(), JSON

    def _answer(self, number: Any, confidence: Any) -> dict[str, Any]:
        return {"class": self.model.classes[number], "number": int(number), "probability": round(float(confidence), 6)}


def png(pixels: np.ndarray) -> bytes:
    """Return uint8 (H, W, C) as the bytes of a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def figure_png(figure: Any) -> bytes:
    from hubel.look.draw import png as draw

    return draw(figure)
