"""split.json of a run folder: what was kept from training, and words for the recordings all of it was made of."""

import json
from pathlib import Path
from typing import Any

from . import domain
from .data import Domain
from .disk import whole
from .errors import DataError

FILE = "split.json"


def write(folder: Path, source: Domain, target: Domain, elsewhere: bool) -> None:
    """What each domain kept to tune on, and the target to test on, of its own dataset or ``elsewhere`` of another."""
    kept: dict[str, Any] = {side.name: {"tune": domain.spans(side.tune)} for side in (source, target)}
    kept[target.name]["test_dataset" if elsewhere else "test"] = domain.spans(target.test)
    with whole(folder / FILE) as temporary:
        temporary.write_text(json.dumps({**kept, "recorded": recorded(source, target)}, indent=1), encoding="utf-8")


def recorded(source: Domain, target: Domain) -> dict[str, str]:
    """Words for the recordings of two domains, and of the target's test."""
    sides = {"source": source.tune, "target": target.tune, "test": target.test}  # those that keep everybody's actions
    return {name: domain.digest(moments) for name, moments in sides.items()}


def recordings(experiment: Any, cache: Path) -> dict[str, str]:
    """The same words from the numbers of a run.Experiment's datasets alone: no world is built, no picture read."""
    e, found = experiment, {}
    for name, side in (("source", e.source), ("target", e.target)):
        blank = domain.read(name, side.dataset.build(), side.crop, e.picture, e.horizon, cache, decode=False)
        found[name] = found["test"] = domain.digest(domain.first(blank, side.episodes, name))
    if e.target.test_dataset is not None:
        blank = domain.read("test", e.target.test_dataset.build(), e.target.crop, e.picture, e.horizon, cache, False)
        found["test"] = domain.digest(blank)
    return found


def told(folder: Path) -> dict[str, str]:
    """The words that a run folder began with; none in one that has not begun, or in one of an older version."""
    path = folder / FILE
    words: dict[str, str] = json.loads(path.read_text(encoding="utf-8")).get("recorded", {}) if path.exists() else {}
    return words


def changed(folder: Path, now: dict[str, str]) -> str:
    """What of a run's recordings is no longer what its folder began with, in a sentence; "" if all of it is."""
    others = [name for name, word in told(folder).items() if word != now.get(name)]
    return (
        f"{folder} began with other recordings of its {' and '.join(others)}: episodes, times or numbers have changed."
        if others
        else ""
    )


def refuse_other_data(folder: Path, now: dict[str, str]) -> None:
    """Going on with other recordings than a folder began with would make two experiments into one. Raises DataError."""
    if fault := changed(folder, now):
        raise DataError(f"{fault} Put those back, or choose another folder with --folder.")
