"""Measure how fast this machine convolves, and what share of that training and inference reach."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def bench(
    network: Annotated[list[str] | None, typer.Argument(help="Architectures by name.",
                                                        show_default="resnet18, cifar94, mnist")] = None,
    size: Annotated[int, typer.Option(min=8, help="The side of the images for architectures that take any.")] = 224,
    batch: Annotated[int, typer.Option(min=1, help="Images a step for these architectures.")] = 16,
    steps: Annotated[int, typer.Option(min=2, help="Steps that are timed.")] = 8,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how fast this machine convolves, and what share of that training and inference reach.

    The ceiling is the fastest of four dense 3 x 3 convolutions, forward, in the best precision and layout. A training
    step is `fit`'s own, with batch norm, loss, optimiser and data; the last lines say where its time goes. Nothing else
    should run meanwhile.

    Examples:

    - hubel bench

    - hubel bench resnet50 efficientnet_lite0 --batch 8
    """
    import json as json_
    import os

    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's profiler announces itself otherwise
    import torch

    from hubel import engine, nets
    from hubel.engine.ceiling import SHAPES, ways
    from hubel.training import recipes
    from hubel.training.throughput import inference, training_step

    def say(text: str = "") -> None:
        if not json:
            print(text, flush=True)

    threads = torch.get_num_threads()
    say(f"convolutions, {threads} thread{'s' * (threads > 1)}, GFLOP/s" + "".join(f"  {c:>4}@{s}" for c, s, _ in SHAPES))
    ceilings = []
    for precision, layout in ways():
        found = engine.ceiling(precision, layout)
        ceilings.append(found)
        say(f"  {precision} {layout:<13}            " + "".join(f"  {v / 1e9:>{len(f'{s}') + 5}.0f}" for v, (_, s, _) in
                                                               zip(found.per_shape, SHAPES, strict=True)))
    top = max(ceilings, key=lambda c: c.flops)
    say(f"ceiling: {top.flops / 1e9:.0f} GFLOP/s ({top.precision}, {top.layout})")
    facts: dict[str, Any] = {"threads": threads, "ceilings": [c.to_dict() for c in ceilings], "networks": []}
    for name in network or ["resnet18", "cifar94", "mnist"]:
        draws = torch.Generator().manual_seed(0)
        if name in recipes.names():
            recipe: Any = recipes.get(name)
            built, count, shape = recipe.network(), recipe.BATCH, (recipe.CHANNELS, *recipe.SIZE)
        else:
            built, count, shape = nets.build(name, 1000, 3, seed=0), batch, (3, size, size)
        x = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=draws)
        y = torch.randint(0, 10, (count,), generator=draws)
        step = training_step(built, x, y, batch_size=count, steps=steps, parts=True)
        answer = inference(built, x, steps=steps)
        say(f"\n{name}, {count} images of {shape[1]} x {shape[2]}")
        for t in (step, answer):
            say(f"  {t.what:<14} {t.precision}  {t.images_per_second:>9,.0f} images/s  {t.flops_per_second / 1e9:>6.0f} "
                f"GFLOP/s  {t.share(top):>5.0%} of the ceiling")
        say("  a step's time: " + ", ".join(f"{part} {share:.0%}" for part, share in step.parts.items() if share >= 0.015))
        facts["networks"].append({"name": name, "shape": shape, "training": {**step.to_dict(), "share": step.share(top)},
                                  "inference": {**answer.to_dict(), "share": answer.share(top)}})
    if json:
        print(json_.dumps(facts, indent=1))
