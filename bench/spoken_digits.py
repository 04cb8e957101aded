"""Spoken digits, each speaker held out in turn: accuracy over all of them. Needs HUBEL_DATA.

    python bench/spoken_digits.py [--seeds 0 1 2] [--only 0]

Five of the six speakers of the Free Spoken Digit Dataset (8 recordings a digit and speaker) train what `hubel train` would
train, the sixth's 80 recordings test it; this for every speaker. A run never sees its held-out speaker, but that each
band's mean is taken off the spectrogram was chosen by what it did for three of these speakers. Beside it a 1-D network on
the waveform, and a logistic regression on the same spectrograms.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from _table import append_results, markdown
from hubel import data, nets
from hubel.data import Source
from hubel.model import Model, Sound
from hubel.study.listening import listened, sound_model


def default(source: Source, seed: int) -> Any:
    return listened(source, minutes=None, epochs=None, seed=seed, device="cpu", checkpoint=None, verbose=0).model


def waveform(source: Source, seed: int) -> Model:
    network = nets.build("waveform", len(source.classes), 1, seed=seed, width=64)
    model = Model(network, source.classes, preprocess=Sound(source.train.rate, 4096, bands=0))
    model.compile("adamw", metrics=("accuracy",))
    model.fit(source.train, epochs=60, batch_size=16, seed=seed, verbose=0, learning_rate=0.005, weight_decay=0.05,
              label_smoothing=0.1, augment="sound")
    return model


class Linear:
    """Standardised spectrograms before a logistic regression."""

    def __init__(self, source: Source, seed: int) -> None:
        self.look = sound_model(source.train, seed).preprocess
        x = self.pictures(source.train)
        self.scaler = StandardScaler().fit(x)
        self.fitted = LogisticRegression(C=0.01, max_iter=500).fit(self.scaler.transform(x), source.train.labels)

    def pictures(self, dataset: Any) -> np.ndarray:
        return np.concatenate([self.look.normalise(x).flatten(1).numpy() for x in self.look.batches(dataset, 256)])

    def predict(self, dataset: Any) -> np.ndarray:
        return self.fitted.predict_proba(self.scaler.transform(self.pictures(dataset)))


METHODS = {"hubel train": default, "1-D network on the waveform": waveform, "logistic regression": Linear}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", type=int, nargs="+", default=[0, 1, 2], help="which of the three methods")
    parser.add_argument("--dry", action="store_true", help="write no results")
    arguments = parser.parse_args()
    folder = Path(os.environ["HUBEL_DATA"]) / "spoken_digits"
    speakers = sorted(set(data.load(folder).train.groups) | set(data.load(folder).test.groups))
    for number in arguments.only:
        name, teach = list(METHODS.items())[number]
        right: dict[str, list[float]] = {speaker: [] for speaker in speakers}
        seconds = []
        for seed in arguments.seeds if teach is not Linear else [0]:
            for speaker in speakers:
                source = data.load(folder, hold_out=speaker)
                began = time.perf_counter()
                model = teach(source, seed)
                seconds.append(time.perf_counter() - began)
                right[speaker].append(float((model.predict(source.test).argmax(1) == source.test.labels).mean()))
                print(f"{name}, seed {seed}: {speaker} {right[speaker][-1]:.1%} after {seconds[-1]:.1f} s", flush=True)
        means = {speaker: np.mean(values) for speaker, values in right.items()}
        each = ", ".join(f"{speaker} {value:.1%}" for speaker, value in means.items())
        table = markdown(["spoken digits, 400 recordings to train on", "accuracy on unheard speakers", "each", "seconds to train"],
                         [[name, f"{np.mean(list(means.values())):.1%}", each, f"{np.mean(seconds):.1f}"]],
                         f"Each of 6 speakers held out in turn, 80 recordings each; seeds {arguments.seeds}.")
        print(table)
        if not arguments.dry:
            append_results(f"Spoken digits, speakers held out: {name}", table)


if __name__ == "__main__":
    main()
