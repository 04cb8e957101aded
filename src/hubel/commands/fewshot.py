"""Make a classifier from a few labelled images: one a class is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fewshot(
    data: Annotated[Path, typer.Argument(help="A folder with a subfolder of images for each class (or any data set that "
                                              "`hubel train` takes).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The model file to write.")] = Path("fewshot.hubel"),
    shots: Annotated[int | None, typer.Option(help="Examples a class to learn from; the other images are the test.",
                                              show_default="all of the training part", min=1)] = None,
    unlabelled: Annotated[Path | None, typer.Option(help="A folder of images without labels, which help.")] = None,
    learner: Annotated[str, typer.Option(help="discriminant, centroid or logistic.")] = "discriminant",
    views: Annotated[str, typer.Option(help="plain, mirror or rich: what each image is looked at as.")] = "mirror",
    model: Annotated[str, typer.Option(help="A model file of Hubel's, or a pretrained network.")] = "efficientnet_lite0",
    seed: Annotated[int, typer.Option(help="Which examples are drawn.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a classifier from a few labelled images: one a class is enough.

    The file it writes predicts, explains and is attacked as any other model's.

    Examples:

    - hubel fewshot photos/ --shots 5 -o mine.hubel

    - hubel fewshot photos/ --unlabelled more/ -o mine.hubel

    - hubel predict new.jpg --model mine.hubel
    """
    import json as json_

    import numpy as np

    from hubel import reuse
    from hubel.data import load, read_image
    from hubel.errors import InputError
    from hubel.reuse.fewshot import draw_examples
    from hubel.reuse.files import find_images
    from hubel.reuse.kshot import per_class_accuracy
    from hubel.study.opening import open_model

    learners = {"discriminant": reuse.Discriminant(centre=True), "centroid": reuse.NormalisedCentroid(centre=True),
                "logistic": reuse.LogisticClassifier()}
    if learner not in learners:
        raise InputError(f"learner {learner!r} is unknown: one of {', '.join(learners)}")
    source = load(data, seed=seed)
    train, test = source.train, source.test
    if shots is not None:
        chosen = draw_examples(train.labels, shots, seed)
        rest = np.setdiff1d(np.arange(len(train)), chosen)
        train, test = train.subset(chosen), train.subset(rest).concat(test)
    extra = None
    if unlabelled is not None:
        extra = [read_image(path, channels=3) for path, _ in find_images([unlabelled])]
    opened = None if model == "efficientnet_lite0" else open_model(model)
    classifier = reuse.FewShotClassifier(opened, None if extra else learners[learner], views)
    classifier.fit(train, unlabelled=extra)
    path = classifier.save(out)
    right = classifier.predict(test) == np.asarray(test.classes)[test.labels]
    facts = {"model": str(path), "classes": list(train.classes), "examples": len(train), "test": len(test),
             "accuracy": float(right.mean()), "per_class_accuracy": per_class_accuracy(right, test.labels),
             "learner": repr(classifier.learner_)}
    if json:
        print(json_.dumps(facts, ensure_ascii=False, indent=1))
    else:
        print(f"{path}: {len(train.classes)} classes from {len(train)} examples; {facts['per_class_accuracy']:.1%} mean "
              f"per-class accuracy on {len(test):,} other images")
