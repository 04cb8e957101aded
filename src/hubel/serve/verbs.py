"""What can be asked: the four verbs, their options and an example each. Depends on parameters.

This table is the only place that knows them: requests are read by it, and OpenAPI and the page are written from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hubel.serve.parameters import Parameter

METHODS = ("gradcam", "gradcam_plus", "gradient", "smoothgrad", "integrated_gradients", "occlusion")


@dataclass(frozen=True)
class Verb:
    """images : takes images alone. many : takes several files. binary : answers with a PNG where `answer` is not json."""

    name: str
    summary: str
    about: str
    parameters: tuple[Parameter, ...] = ()
    images: bool = False
    many: bool = True
    binary: bool = False


VERBS = {verb.name: verb for verb in (
    Verb("predict", "The most likely classes of each input",
         "Answers come in the order of the files. Requests are computed in batches, in the precision that `precision` in "
         "/health names.",
         (Parameter("top", "integer", "How many classes to name.", 3, 1, 1000),)),
    Verb("embed", "The features of each input: what the layer before last says of it",
         "One row of float32 numbers an input. Like inputs have features with a large cosine."),
    Verb("explain", "Which places or pixels one answer comes from",
         "`heat` is one number a place, row by row, on the method's own absolute scale, named by `unit`; its size is the "
         "layer's for Grad-CAM, the image's otherwise. One image a request; explanations wait for each other.",
         (Parameter("method", "string", "How to ask.", "gradcam", choices=METHODS),
          Parameter("class", "string", "The class to explain, by name; the model's answer where it is missing."),
          Parameter("answer", "string", "json, or figure: a PNG of the image and its map.", "json", choices=("json", "figure"))),
         images=True, many=False, binary=True),
    Verb("attack", "The image changed as little as does it, so that the model takes it for another class",
         "Sizes are tried upwards until one does it, unless `eps` names one. `image` is the adversarial as a PNG at the model's "
         "size, in base64: send it to /predict. One image a request; attacks wait for each other. For models of your own.",
         (Parameter("target", "string", "The class it shall be taken for; any other where it is missing."),
          Parameter("eps", "size", "The most that a value may change, such as 8/255; for l2 the length of the change.",
                    low=0, high=64),
          Parameter("norm", "string", "How the size of a change is measured.", "linf", choices=("linf", "l2")),
          Parameter("steps", "integer", "Steps at each size.", 60, 1, 200),
          Parameter("seed", "integer", "The same seed gives the same answer.", 0, 0, 2**31 - 1),
          Parameter("answer", "string", "json, png (the adversarial) or figure (original, change and adversarial).", "json",
                    choices=("json", "png", "figure"))),
         images=True, many=False, binary=True),
)}
