"""A folder of sound files to a Source: labels from subfolders or file names, speakers held out. Depends on `folder`, `series`.

A flat folder's files are called CLASS_SPEAKER_TAKE.wav, or CLASS_TAKE.wav (then no speaker is known). In class folders
the names HASH_nohash_TAKE.wav, as in Google's Speech Commands, tell the speaker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hubel.data import folder
from hubel.data.dataset import Skipped
from hubel.data.folder import Listing
from hubel.data.parallel import ordered_map
from hubel.data.series import SeriesDataset
from hubel.data.series_store import SoundFiles
from hubel.data.sound import is_sound_name, read_sound
from hubel.data.source import Source, divided, limited
from hubel.errors import DataError, InputError

_FEWEST = 4  # recordings a speaker must have on average for speakers to be held out whole


def holds_sounds(root: Path) -> bool:
    """Whether there is a sound file anywhere in the folder."""
    return any(is_sound_name(path) for path in root.rglob("*"))


def load_sounds(root: Path, name: str, rate: int | None, hold_out: Any, seed: int, fraction: float,
                limit: int | None) -> Source:
    """A Source of the sound files in `root`; see `hubel.data.load`. `rate` None is the one most files have."""
    groups = [[_list(part) for part in parts] for parts in folder.find_parts(root) if parts]
    skipped = [s for group in groups for listing in group for s in listing.skipped]
    names = sorted({label for group in groups for listing in group for label in listing.labels}, key=folder.natural)
    if not names:
        raise _no_names(root)
    heard = [_hear([path for listing in group for path in listing.paths], skipped) for group in groups]
    rates = Counter(found[1] for part in heard for found in part.values())
    if not rates:
        raise DataError(f"{root}: none of its sound files can be read, the first: {skipped[-1].path} {skipped[-1].reason}")
    rate = rate or rates.most_common(1)[0][0]
    sets = []
    for group, found in zip(groups, heard, strict=True):
        labels = {path: label for listing in group for path, label in zip(listing.paths, listing.labels, strict=True)}
        paths = list(found)
        sizes = np.array([(-(-count * rate // have), 1) for count, have in found.values()]).reshape(-1, 2)
        store = SoundFiles(root, paths, sizes, rate, speakers(paths, in_folders=bool(folder._subfolders(root))))
        used = [k for k in names if k in labels.values()] if len(groups) == 1 else names
        sets.append(SeriesDataset(store, np.array([used.index(labels[p]) for p in paths], dtype=np.int64), used, name, "sound"))
    return split_by_group(name, limited(sets, limit, seed), tuple(skipped), hold_out, seed, fraction)


def split_by_group(name: str, sets: list[Any], skipped: Sequence[Skipped], hold_out: Any, seed: int,
                   fraction: float) -> Source:
    """The split: the source's own, or the groups in `hold_out` (a name or several), or for None some groups that the seed
    draws where groups are known; False splits by class alone."""
    whole = sets[0]
    if len(sets) > 1 or hold_out is False:
        return divided(name, sets, tuple(skipped), seed, fraction)
    if hold_out is None:
        chosen = draw_groups(whole, fraction, seed)
    else:
        chosen = [hold_out] if isinstance(hold_out, str) else [str(group) for group in hold_out]
        if not chosen:
            raise InputError("hold_out=[] names nobody: give a name, or False to split by class alone")
    if not chosen:
        return divided(name, sets, tuple(skipped), seed, fraction)
    rest, part = whole.hold_out(*chosen)
    found = divided(name, [rest, part], tuple(skipped), seed, fraction)
    return Source(name, found.kind, found.train, found.test, found.skipped, seed=seed, held_out=tuple(chosen))


def draw_groups(dataset: SeriesDataset, fraction: float, seed: int) -> list[str]:
    """As many whole groups as come nearest to the fraction, at least one; none where groups are unknown, where there are
    too many for their size, or where a class would be lost to training."""
    names = dataset.groups
    counts = Counter(names or ())
    if len(counts) < 2 or len(dataset) < _FEWEST * len(counts):
        return []
    order = [sorted(counts)[k] for k in np.random.default_rng([seed, 0x59EA]).permutation(len(counts))]
    totals = np.cumsum([counts[group] for group in order])[:-1]
    chosen = order[: int(np.abs(totals - fraction * len(dataset)).argmin()) + 1]
    rest = ~np.isin(names or (), chosen)
    return chosen if set(dataset.labels[rest]) == set(dataset.labels) else []


def speakers(paths: Sequence[Path], in_folders: bool) -> list[str] | None:
    """For each file the speaker its name tells; None if one does not."""
    if in_folders:
        return [p.stem.split("_nohash_")[0] for p in paths] if all("_nohash_" in p.stem for p in paths) else None
    parts = [path.stem.split("_") for path in paths]
    return [part[1] for part in parts] if all(len(part) >= 3 for part in parts) else None


def _list(part: Path) -> Listing:
    """Sound files and labels: by class folder, or where there is none by the names' beginnings."""
    if any(holds_sounds(sub) for sub in folder._subfolders(part)):
        return folder.list_images(part, is_sound_name, "sound files")
    paths = sorted(path for path in part.iterdir() if path.is_file() and is_sound_name(path))
    named = [path for path in paths if "_" in path.stem.strip("_")]
    skipped = tuple(Skipped(str(path), "has no CLASS_ at the beginning of its name") for path in paths if path not in named)
    return Listing(tuple(named), tuple(path.stem.split("_")[0] for path in named), skipped)


def _hear(paths: Sequence[Path], skipped: list[Skipped]) -> dict[Path, tuple[int, int]]:
    """Read every file, on all cores: (samples, rate) of the good ones; the others are added to `skipped`."""

    def listen(path: Path) -> tuple[int, int] | str:
        try:
            samples, rate = read_sound(path)
            return len(samples), rate
        except DataError as error:
            return str(error)

    found = {}
    for path, result in ordered_map(listen, paths):
        if isinstance(result, str):
            skipped.append(Skipped(str(path), result.removeprefix(f"{path} ")))
        else:
            found[path] = result
    return found


def _no_names(root: Path) -> DataError:
    count = sum(is_sound_name(path) for path in root.iterdir())
    return DataError(f"{root} holds {count} sound files but neither a subfolder for each class nor names such as "
                     "CLASS_SPEAKER_TAKE.wav: move or rename them")
