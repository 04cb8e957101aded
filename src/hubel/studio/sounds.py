"""The sounds on the table: one made here, and those that were dropped; as curves and as players. Depends on limits, data."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from hubel.dataurl import data_url
from hubel.errors import InputError
from hubel.studio import limits

KEPT = 16
RATE = 8000


@dataclass(frozen=True, eq=False)
class Heard:
    key: str
    name: str
    file: str
    samples: np.ndarray  # float32 (T,)
    rate: int
    about: str = ""


class Sounds:
    """All sounds of one studio; '' is the one that is made here."""

    def __init__(self) -> None:
        self._dropped: OrderedDict[str, Heard] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key == "" or key in self._dropped

    def __getitem__(self, key: str) -> Heard:
        if key == "":
            return _made()
        with self._lock:
            if key not in self._dropped:
                raise InputError("the sound of this link is not here any more: drop it again")
            return self._dropped[key]

    def drop(self, url: Any, name: Any) -> Heard:
        data, called = limits.file_of(url, name)
        samples, rate = limits.sound(data, called)
        key = "own-" + hashlib.blake2b(samples.tobytes(), digest_size=6).hexdigest()
        heard = Heard(key, called, called, samples, rate)
        with self._lock:
            self._dropped[key] = heard
            while len(self._dropped) > KEPT:
                self._dropped.popitem(last=False)
        return heard


@lru_cache(maxsize=1)
def _made() -> Heard:
    """Two tones and noise, as a WAV file holds them."""
    from hubel.data.sound import decode_sound

    t = np.arange(RATE) / RATE
    tones = 0.4 * np.sin(2 * np.pi * 220 * t) + 0.2 * np.sin(2 * np.pi * 330 * t)
    source = player_source(tones + 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    samples, rate = decode_sound(base64.b64decode(source.partition(",")[2]), name="chord.wav")
    about = ('<p class="hb-rule">The noisy chord is made of two tones and noise; save it to filter it on the command line: '
             f'<a download="chord.wav" href="{source}">chord.wav</a></p>')
    return Heard("", "a chord in noise", "chord.wav", samples, rate, about)


def player_source(samples: np.ndarray, rate: int) -> str:
    """A data URL of a 16-bit WAV; louder samples are clipped."""
    import scipy.io.wavfile

    buffer = io.BytesIO()
    scipy.io.wavfile.write(buffer, rate, np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16))
    return data_url(buffer.getvalue(), "audio/wav")


def figure(samples: np.ndarray, rate: int, title: str) -> str:
    """A sound as its envelope, drawn, with a player."""
    columns = min(len(samples), 900)
    cuts = np.linspace(0, len(samples), columns + 1).astype(int)
    top = max(float(np.abs(samples).max()), 1e-9)
    high = np.maximum.reduceat(samples, cuts[:-1]) / top
    low = np.minimum.reduceat(samples, cuts[:-1]) / top
    points = [f"{i},{50 - 46 * v:.1f}" for i, v in enumerate(high)] + [f"{columns - 1 - i},{50 - 46 * v:.1f}" for i, v in enumerate(low[::-1])]
    name = html.escape(title)
    return (f'<figure class="hb-figure hb-sound"><figcaption><b>{name}</b>: {len(samples) / rate:.2f} s at {rate:,} samples a second, '
            f'largest {top:.2g}</figcaption><svg viewBox="0 0 {columns} 100" preserveAspectRatio="none" role="img" aria-label="{name}">'
            f'<polygon points="{" ".join(points)}"/></svg><audio controls src="{player_source(samples, rate)}" aria-label="{name}"></audio></figure>')


def choices(sounds: Sounds, chosen: str = "") -> dict[str, Any]:
    """The value of a picker over the sounds."""
    keys = ["", *([chosen] if chosen and chosen in sounds else [])]
    return {"group": "filter-sound", "label": "sound", "own": True, "accept": "audio/*,.wav,.flac,.ogg", "chosen": chosen,
            "choices": [{"key": k, "name": sounds[k].name, "thumb": _icon(sounds[k].samples)} for k in keys]}


def _icon(samples: np.ndarray) -> str:
    part = samples[:: max(1, len(samples) // 36)][:36] / max(float(np.abs(samples).max()), 1e-9)
    bars = "".join(f"<rect x='{2 * i}' y='{36 - 30 * abs(v):.0f}' width='1.4' height='{60 * abs(v):.0f}'/>" for i, v in enumerate(part))
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 72 72'><rect width='72' height='72' fill='#eef1f5'/><g fill='#1d5fbf'>{bars}</g></svg>"
    return data_url(svg.encode(), "image/svg+xml")
