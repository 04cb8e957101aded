"""What a training run leaves behind: Keras' History (`.history`, `.epoch`, `.params`), with times and a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """Curves of one run. `history[name][i]` is the value at the end of epoch `epoch[i]`; epochs count from 0."""

    history: dict[str, list[float]] = field(default_factory=dict)
    epoch: list[int] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)  # since the run began, validation and resumed parts included
    interrupted: bool = False
    stopped: str | None = None  # why the run ended early, if it did
    best_epoch: int | None = None

    def append(self, epoch: int, logs: dict[str, float], seconds: float) -> None:
        self.epoch.append(epoch)
        self.seconds.append(seconds)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `History(**d)` restores it."""
        return {"history": {name: list(values) for name, values in self.history.items()}, "epoch": list(self.epoch),
                "params": dict(self.params), "seconds": list(self.seconds), "interrupted": self.interrupted,
                "stopped": self.stopped, "best_epoch": self.best_epoch}

    def plot(self) -> Any:
        """A Matplotlib figure: one panel for each quantity that was measured, training and validation together."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        names = [n for n in self.history if not n.startswith("val_") and n != "learning_rate"]
        figure = Figure(figsize=(4.2 * max(1, len(names)), 3.2), layout="constrained")
        for axes, name in zip(figure.subplots(1, max(1, len(names)), squeeze=False)[0], names, strict=False):
            for key, label, style in ((name, "training", "o-"), (f"val_{name}", "validation", "s-")):
                values = self.history.get(key, [])
                epochs = [e + 1 for e in self.epoch[len(self.epoch) - len(values):]]
                if values:
                    axes.plot(epochs, values, style, markersize=3.5, linewidth=1.5, label=label)
            axes.set_xlabel("epoch")
            axes.set_title(name.replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            if f"val_{name}" in self.history:
                axes.legend(frameon=False)
        return figure

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"History({len(self.epoch)} epochs: {last})"

    def _repr_html_(self) -> str:
        names = list(self.history)
        head = "".join(f"<th>{name}</th>" for name in ["epoch", *names])
        rows = ""
        for i, epoch in enumerate(self.epoch):
            cells = []
            for name in names:
                place = i - (len(self.epoch) - len(self.history[name]))
                cells.append(f"<td>{self.history[name][place]:.4g}</td>" if place >= 0 else "<td></td>")
            rows += f"<tr><td>{epoch + 1}</td>{''.join(cells)}</tr>"
        return f"<table><tr>{head}</tr>{rows}</table>"
