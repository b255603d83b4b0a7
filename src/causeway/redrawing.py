"""A dataset redrawn into another one: the same episodes, actions, state and time, in another look."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import config, domain, finished, redraw, run
from .bridges import BLENDS, Bridge
from .bridges import conditions as weather
from .cache import Crop, remaining
from .datasets import Dataset
from .disk import whole
from .errors import ConfigError, DataError, nearest
from .gap import Comparison
from .judges import Likeness
from .progress import counted, say_once
from .recorder import Recorder, Recording

ABOUT = Path("meta") / "redrawn.json"  # of a redrawn dataset
SETS = {  # named sets of conditions; a word that is in none is refused
    "weather": ("fog", "rain", "snow"),
    "time": ("dawn", "noon", "dusk", "night"),
    "season": ("spring", "summer", "autumn", "winter"),
    "odd": ("city", "suburb", "countryside", "highway", "tunnel", "roadworks"),  # operational design domains
    "blend": BLENDS,  # how far to the other side's look, or into the condition it stands with
}


@dataclass(frozen=True)
class Asked:
    """What is redrawn, and how."""

    dataset: Any = None  # what is redrawn
    episodes: int | Literal["all"] = "all"  # how many of its episodes, the first ones
    bridge: Any = field(default_factory=weather.Config)  # what redraws, where no run of one is named
    validator: Any | tuple[Any, ...] = None  # has redrawn pictures whose content changed too much stay; or a list
    witness: str = ""  # a policy's run that has pictures stay where it would act otherwise on the redrawn one
    picture: domain.Picture | None = None  # of what is written; as recorded, or as the bridge's run says, without one
    crop: Crop = field(default_factory=Crop)  # what is cut off first; likewise
    gap: Comparison = field(default_factory=Comparison)  # whose encoder the validator sees by; a run knows its own


def conditions(words: Sequence[str]) -> tuple[str, ...]:
    """``["weather=rain,fog", "time=night"] -> ("rain", "fog", "night")``; "weather" alone is all of that set, and
    ``weather=rain+night`` both at once."""
    found: list[str] = []
    for word in words:
        name, equals, listed = word.partition("=")
        if name not in SETS:
            raise ConfigError(f"--vary {word}: there is no set '{name}'. {nearest(name, SETS)}")
        chosen = listed.split(",") if equals else list(SETS[name])
        for first, *others in (each.split("+") for each in chosen):
            if first not in SETS[name]:
                raise ConfigError(f"--vary {word}: there is no {name} '{first}'. {nearest(first, SETS[name])}")
            known = [each for set_ in SETS.values() for each in set_]
            for each in others:
                if each not in known:
                    raise ConfigError(f"--vary {word}: there is no condition '{each}'. {nearest(each, known)}")
        found += chosen
    return tuple(dict.fromkeys(found))


def write(
    asked: Asked,
    folder: Path,
    destination: Path,
    varied: Sequence[str] = (),
    data: Path | None = None,
    cache: Path | None = None,
    workers: int = 1,
    quick: Mapping[str, Any] | None = None,
) -> tuple[int, int]:
    """Redraw ``asked.dataset`` into ``destination``, once for each condition or as the bridge does: episodes, frames.

    ``quick`` are settings of the bridge of a run that change no drawing, such as ``batch``.
    Pictures are redrawn into the cache first, where a stopped run goes on. Among the dataset's files ``ABOUT`` says by
    what it was redrawn, how it was cut, and which moments of which episodes stayed as they were. Raises ConfigError and
    DataError.
    """
    dataset: Dataset = asked.dataset.build()
    _refuse_onto_itself(Path(dataset.root), destination)
    bridge, word, picture, crop, theirs, gap = _bridge(asked, dataset, folder, data)
    finished.quickened(bridge, quick or {}, folder)
    if asked.witness:
        finished.tell_another_crop(Path(asked.witness), crop, "these are")
    for condition in varied:
        if others := [each for each in condition.split("+") if each not in bridge.conditions()]:
            known = ", ".join(bridge.conditions()) or "none: it redraws in one way"
            raise ConfigError(f"--vary: this bridge knows no '{others[0]}'. It knows {known}.")
        bridge.vary(*condition.split("+"))  # which refuses what does not go together, before anything is done
    place = cache or destination.parent / "cache"
    blank = domain.read("dataset", dataset, crop, picture, 1, place, decode=False)
    recorded = domain.shown(domain.first(blank, asked.episodes, "dataset"), dataset, crop, place)
    episodes = dataset.episodes[: len(recorded.episode_names)]
    judges, judged = finished.judges_of(asked.validator, gap.encoder, asked.witness)
    if any(isinstance(judge, Likeness) and judge.validator.by_encoder for judge in judges):
        say_once(f"Validators see by {config.dump(gap)['encoder']['name']}: gap.encoder names another.")
    names = dataset.cameras, dataset.rate_hz, dataset.state_names, dataset.action_names
    total = len(recorded) * max(1, len(varied))
    stayed: dict[str, list[int]] = {}
    with (
        Recorder(destination, Recording(*names, points=dataset.points)) as recorder,
        counted(f"writing {destination}", total, "frames") as advance,
    ):
        for condition in varied or ("",):
            if condition:
                bridge.vary(*condition.split("+"))
            said = f"{word} {judged} {condition}"
            frames, stays = redraw.kept(bridge, recorded, place, said, judges, workers, condition)
            begin = 0
            for episode in episodes:
                own = frames[begin : begin + len(episode)]
                named = replace(episode, name=f"{episode.name} {condition}".strip())
                recorder.add(named, _views(own))
                if (kept := np.flatnonzero(stays[begin : begin + len(episode)])).size:
                    stayed[named.name] = kept.tolist()
                advance(len(episode))
                begin += len(episode)
    about = {"bridge": str(folder), "dataset": dataset.root, "crop": asdict(crop), "reference_crop": asdict(theirs)}
    with whole(destination / ABOUT) as temporary:
        temporary.write_text(
            json.dumps({**about, "judges": [judge.name for judge in judges], "stayed": stayed}, indent=2),
            encoding="utf-8",
        )
    return len(episodes) * max(1, len(varied)), total


def cuts(redrawn: Path) -> tuple[Crop, Crop] | None:
    """How the pictures of a dataset that ``write`` redrew were cut, and how those they are to look like; None of any
    other."""
    if not (redrawn / ABOUT).is_file():
        return None
    told = json.loads((redrawn / ABOUT).read_text(encoding="utf-8"))
    return Crop(**told["crop"]), Crop(**told["reference_crop"])


def _bridge(
    asked: Asked, dataset: Dataset, folder: Path, data: Path | None
) -> tuple[Bridge, str, domain.Picture, Crop, Crop, Comparison]:
    """What redraws, a word for it, the size and crop of what it redraws, the crop of what that is to look like, and by
    what a validator sees it."""
    if not (folder / "config.toml").exists():
        made: Bridge = asked.bridge.build()
        if made.learned:
            raise ConfigError(f"--bridge {folder}: that one has to be learned. Name the folder of a run of it.")
        made.begin()
        word = " ".join([str(finished.plainly(asked.bridge)), *finished.files_of(asked.bridge)])
        return made, word, asked.picture or _as_recorded(dataset, asked.crop), asked.crop, asked.crop, asked.gap
    e = run.open_run(folder, data).experiment
    if asked.picture is not None or asked.crop != Crop():
        raise ConfigError(f"picture and crop: {folder} says its own, those it was trained with. Leave them out.")
    ours, theirs = run.crossed_sides(e)
    gap = e.gap if asked.gap == Comparison() else asked.gap
    return finished.bridge_of(folder), finished.word_of(folder), e.picture, ours.crop, theirs.crop, gap


def _as_recorded(dataset: Dataset, crop: Crop) -> domain.Picture:
    """The size of the dataset's first picture after the crop."""
    height, width = remaining(dataset, crop)
    return domain.Picture(height=round(height), width=round(width))


def _views(frames: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """(V, H, W, 3) of each moment."""
    for moment in frames:
        yield np.ascontiguousarray(moment.transpose(0, 2, 3, 1))


def _refuse_onto_itself(source: Path, destination: Path) -> None:
    ours, theirs = source.resolve(), destination.resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise DataError(f"{destination} is the dataset itself, or lies in it, or holds it. Redraw into another folder.")
