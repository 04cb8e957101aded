"""What the Train tab shows, without the page: a run that is followed, its curves and filters, its model. Depends on study.teach, which trains."""

from __future__ import annotations

import hashlib
import html
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hubel.errors import InputError
from hubel.studio import curves, parts
from hubel.studio.links import Again, Settings, command, setting, to_query
from hubel.studio.pictures import uri
from hubel.studio.stock import Stock

NETWORKS = {"": "the default for these images", "small_resnet": "small residual network", "cifar_resnet": "ResNet-20 of CIFAR",
            "vgg": "VGG-like stack", "lenet": "LeNet-5"}
TRICKS = {"augmentation": "alter the images anew in every epoch", "label_smoothing": "smooth the labels", "one_cycle": "one-cycle schedule",
          "weight_decay": "weight decay"}
SHOWN = 32  # filters
EVERY = 0.4  # seconds between two pictures of them


@dataclass(frozen=True)
class Train(Settings):
    TAB: ClassVar[str] = "train"
    data: str = setting("digits")
    network: str = setting("", one_of=tuple(NETWORKS))
    without: str = setting("")
    epochs: int = setting(0, least=0, most=200)
    harden: int = setting(0, least=0, most=32)
    seed: int = setting(0, least=0, most=2**31)

    def left_out(self) -> tuple[str, ...]:
        """The tricks that are switched off; raises InputError for others."""
        named = tuple(sorted(set(self.without.split(",")) - {""}))
        wrong = [name for name in named if name not in TRICKS]
        if wrong:
            raise InputError(f"there is no trick {wrong[0]!r} to leave out: there are {', '.join(TRICKS)}")
        return named




@dataclass
class Run:
    """One training as the page follows it; `stop` is set by the page, everything else by the training thread."""

    stop: threading.Event = field(default_factory=threading.Event)
    batches: list[tuple[float, float]] = field(default_factory=list)  # (epochs done, mean loss of the epoch so far)
    epochs: list[dict[str, float]] = field(default_factory=list)
    first_epoch: int = 0
    before: Any = None  # the filters at the beginning
    now: Any = None
    layer: str = ""
    seen: float = 0.0


def watcher(run: Run) -> Any:
    """Return a training callback that tells `run` how it goes, and ends the training when the page asks for it."""
    from hubel.look import WatchFilters
    from hubel.training import Callback

    class Watcher(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.filters = WatchFilters()
            self.filters.model = self.model
            self.filters.on_train_begin()
            run.layer, run.before = str(self.filters.layer), self.filters._weights().numpy()
            run.now, run.first_epoch = run.before, self.run.epoch
            history = self.run.history.history
            run.epochs[:] = [{name: values[i] for name, values in history.items() if i < len(values)} for i in range(len(self.run.history.epoch))]

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            run.batches.append((self.run.epoch + (batch + 1) / self.run._batches, float((logs or {}).get("loss", float("nan")))))
            if time.monotonic() - run.seen > EVERY:
                run.seen, run.now = time.monotonic(), self.filters._weights().numpy()
            if run.stop.is_set():
                self.run.interrupt.requested = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            run.now = self.filters._weights().numpy()
            run.epochs.append(dict(logs or {}))

    return Watcher()


def name_of(stock: Stock, s: Train) -> str:
    """What these settings are called on the disk: their data and a digest, so that the same settings go on where they stopped."""
    digest = hashlib.blake2b(to_query(s).encode(), digest_size=3).hexdigest()
    return f"{Path(s.data).stem}-{digest}.hubel"


def teach(stock: Stock, s: Train, run: Run) -> tuple[Any, dict[str, Any] | None]:
    """Train; return what `study.teach` gives and, unless it was stopped, what was counted on the test images."""
    from hubel.study.stages.evaluation import evaluate
    from hubel.study.stages.training import notes
    from hubel.study.subject import Subject
    from hubel.study.teach import teach as train
    from hubel.training import Harden

    source = stock.source(s.data, s.seed)
    if source.kind in ("sound", "series"):
        raise InputError(f"{s.data} holds {source.train.noun}: the studio trains on images, 'hubel train' on these too")
    stock.work.mkdir(parents=True, exist_ok=True)
    path = stock.work / name_of(stock, s)
    checkpoint = path.with_name(f"{path.name}.training")
    taught = train(source, epochs=s.epochs or None, seed=s.seed, checkpoint=checkpoint, verbose=0, network=s.network or None,
                   without=s.left_out(), harden=Harden(s.harden / 255) if s.harden else None, callbacks=[watcher(run)])
    if taught.interrupted:
        return taught, None
    taught.model.save(path, **notes(source, taught) | {"trained on": s.data})
    checkpoint.unlink(missing_ok=True)
    stock.add_model(path)
    return taught, evaluate(Subject(taught.model, source, s.seed), 0)


def again(stock: Stock, s: Train) -> Again:
    place = stock.data.get(s.data, s.data)
    out = name_of(stock, s)
    line = command("hubel", "train", place, "-o", out, *(["--epochs", s.epochs] if s.epochs else []), *(["--network", s.network] if s.network else []),
                   *(w for t in s.left_out() for w in ("--without", t)), *(["--harden", f"{s.harden}/255"] if s.harden else []),
                   *(["--seed", s.seed] if s.seed else []))
    said = [f"seed={s.seed}", *([f"epochs={s.epochs}"] if s.epochs else []), *([f"network={s.network!r}"] if s.network else []),
            *([f"without={s.left_out()!r}"] if s.left_out() else []), *([f"harden=Harden({s.harden} / 255)"] if s.harden else [])]
    code = (f"import hubel\nfrom hubel.study.teach import teach\n{'from hubel.training import Harden' + chr(10) if s.harden else ''}\n"
            f"source = hubel.load({place!r}, seed={s.seed})\ntaught = teach(source, {', '.join(said)})\ntaught.model.save({out!r})")
    return Again(to_query(s), line, code)


def picture(run: Run) -> str:
    """The curves and the filters as they are now."""
    losses = [("training, this epoch", *_thinned(run.batches))]
    ends = [float(i + 1) for i in range(len(run.epochs))]
    losses += [("held out", ends, [e["val_loss"] for e in run.epochs])] if run.epochs and "val_loss" in run.epochs[0] else []
    right = [(name, ends, [e[key] for e in run.epochs]) for key, name in (("accuracy", "training"), ("val_accuracy", "held out"))
             if run.epochs and key in run.epochs[0]]
    charts = curves.chart("Loss", "epoch", losses, low=0) + (curves.chart("Accuracy", "epoch", right, percent=True, high=1) if right else "")
    return f'<div class="hb-figures" style="--hb-columns:2">{charts}</div>{_filters(run)}'


def _thinned(points: list[tuple[float, float]], most: int = 300) -> tuple[list[float], list[float]]:
    step = max(1, len(points) // most)
    kept = points[::step] + ([points[-1]] if points and (len(points) - 1) % step else [])
    return [x for x, _ in kept], [y for _, y in kept]


def _filters(run: Run) -> str:
    from hubel.look import Filters
    from hubel.look.draw import mosaic

    if run.now is None:
        return ""
    shown = [uri(_bytes(mosaic(Filters(run.layer, w[:SHOWN]).pictures(), 8))) for w in (run.before, run.now)]
    count = f"{min(SHOWN, len(run.now))} of {len(run.now)} filters of {html.escape(run.layer)}; mid-grey is weight 0"
    return parts.figures([parts.figure(shown[0], "Filters before", count), parts.figure(shown[1], "Filters now", "each scaled to its own largest weight")], 2)


def _bytes(tile: Any) -> Any:
    return (tile.clip(0, 1) * 255).round().astype("uint8")


def verdict(taught: Any, found: dict[str, Any] | None, name: str) -> str:
    from hubel.study.statistics import wilson

    if found is None:
        return ('<p class="hb-verdict">Stopped, and kept: <b>Train</b> with the same settings goes on where it was, to the same model as without '
                "the interruption.</p>")
    low, high = wilson(found["correct"], found["n"])
    query = f"&model={html.escape(name)}"
    return (f'<p class="hb-verdict"><b class="hb-good">{found["accuracy"]:.1%}</b> of {found["n"]:,} test images right (95% interval {low:.1%} to '
            f'{high:.1%}), after {taught.seconds:.0f} s of training. {html.escape(taught.recipe)}</p><p class="hb-verdict">'
            f'<a class="hb-save" href="?tab=look{query}">Look inside it</a> <a class="hb-save" href="?tab=break{query}">Break it</a></p>')
