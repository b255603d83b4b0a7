"""The one evaluation: replay recordings (``driving`` drives), measure the traces, and say how sure we are."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .agent import Agent
from .data import Moments
from .disk import whole
from .errors import ConfigError
from .metrics import Metric, Trace
from .progress import track

RESAMPLES = 1000  # of every bootstrap
LEVEL = 0.95  # of every interval
NORMAL = 1.959964  # deviations of a normal distribution about its mean between which 95 % lie
CHUNK = 64  # moments that are planned for at once
FEWEST = 6  # episodes or stretches below which an interval says nothing
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # t at .975, by degrees of freedom


@dataclass(frozen=True)
class Evaluation:
    """How a finished part is tested."""

    episodes: int = 100  # driven in a simulator; 96 show a rate to +-10 points, 385 to +-5
    first_seed: int = 10_000  # of the driven episodes: the same ones for every arm
    worlds: int = 50  # driven side by side; raising it is faster and takes more memory
    stretch_s: float = 10.0  # a recording is cut into stretches this long, the units of its interval

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.worlds < 1 or self.stretch_s <= 0:
            raise ConfigError("episodes, worlds and stretch_s must be above 0.")


class Measure(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


# --- facts ---------------------------------------------------------------------------------------------------------


def replay(agent: Agent, moments: Moments, settings: Evaluation) -> list[Trace]:
    """What the agent would have done along the recordings of ``moments``, open loop, in stretches of a few seconds."""
    if moments.actions is None:
        raise ConfigError("A recording without actions has nothing to compare predictions with.")
    clips = moments.clips() if agent.remembers else [np.arange(len(moments))]
    parts = [(start, clip[start : start + CHUNK]) for clip in clips for start in range(0, len(clip), CHUNK)]
    planned = []
    for start, part in track(parts, "replaying", f"x{CHUNK} moments"):
        if start == 0 and agent.remembers:
            agent.bridge.clip(0)
        planned.append(agent.plan(*_seen(moments, part), following=agent.remembers))
    chunks = np.concatenate(planned)
    episode = moments.episode[moments.rows]
    commands, intervened = np.empty_like(chunks[:, 0]), np.empty(len(chunks), np.float32)
    for i, chunk in enumerate(chunks):
        if i == 0 or moments.rows[i] != moments.rows[i - 1] + 1 or episode[i] != episode[i - 1]:
            agent.reset(np.ones(1, bool))
        commands[i], intervened[i] = agent.command(chunk[None])[0], agent.intervened[0]
    time_s = moments.time_s[moments.rows]
    stretch = np.floor(time_s / settings.stretch_s).astype(np.int64)
    truth = moments.actions[moments.rows]
    keys, first = np.unique(np.stack([episode, stretch], 1), axis=0, return_index=True)
    stretches = np.split(np.arange(len(commands)), np.sort(first)[1:])
    names = moments.episode_names or tuple(str(number) for number in range(int(episode.max()) + 1))
    return [
        Trace(
            name=f"{names[number]}@{place * settings.stretch_s:g}s",
            actions=commands[part],
            reference=truth[part],
            time_s=time_s[part],
            signals={"intervened": intervened[part]},
            names=moments.action_names,
        )
        for (number, place), part in zip(keys, stretches)
    ]


def _seen(moments: Moments, chosen: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    batch = moments.take(chosen)
    return batch.images, batch.state, batch.points


# --- numbers -------------------------------------------------------------------------------------------------------


def measure(runs: Sequence[Sequence[Trace]], metrics: Mapping[str, Metric]) -> dict[str, Measure]:
    """Each metric, averaged over ``runs`` (one list of traces a seed), with its 95 % interval.

    The interval is a bootstrap over episodes, the same for all runs, and over runs; it is at least Student's over
    runs, since few runs resampled look too sure, and a rate's is at least Wilson's. It ends at the metric's bounds, and
    is (nan, nan) for fewer than FEWEST episodes. Metrics that the traces hold nothing for are left out.
    """
    found = {}
    for name, metric in metrics.items():
        counted = [metric.chosen(scored(traces)) for traces in runs]
        values = [metric.measure(traces) for traces in counted]
        if not values or not np.isfinite(values).all():
            continue
        low, high = _widest(values, _resample(counted, metric), min(map(len, counted)))
        if metric.kind == "rate":
            count = sum(map(len, counted))
            below, above = wilson(float(np.mean(values)), count)
            low, high = min(low, below), max(high, above)
        least, most = metric.bounds
        found[name] = Measure(float(np.mean(values)), max(low, least), min(high, most))
    return found


def difference(ours: Sequence[Sequence[Trace]], theirs: Sequence[Sequence[Trace]], metric: Metric) -> Measure | None:
    """Ours minus theirs, paired by run (the k-th of each) and by episode: only what both have, resampled together.

    The interval is as in ``measure``. None where no episode is in all runs of both, since then nothing is paired.
    """
    ours, theirs = ([metric.chosen(scored(traces)) for traces in runs] for runs in (ours, theirs))
    common = set.intersection(*({_identity(trace) for trace in traces} for traces in (*ours, *theirs)))
    if len(ours) != len(theirs) or not common:
        return None
    mine, others = (
        [sorted((t for t in traces if _identity(t) in common), key=_identity) for traces in runs]
        for runs in (ours, theirs)
    )
    gaps = [metric.measure(a) - metric.measure(b) for a, b in zip(mine, others)]
    if not np.isfinite(gaps).all():
        return None
    return Measure(
        float(np.mean(gaps)), *_widest(gaps, _resample(mine, metric) - _resample(others, metric), len(common))
    )


def _identity(trace: Trace) -> tuple[str, int]:
    """Two traces are of one episode when they have its name and, along a recording, its length."""
    return trace.name, 0 if trace.reference is None else len(trace.reference)


def _widest(values: Sequence[float], drawn: NDArray[np.float64], episodes: int) -> tuple[float, float]:
    """The hull of the bootstrap's interval and, for several runs, of Student's over their ``values``."""
    if episodes < FEWEST:
        return math.nan, math.nan
    low, high = _percentiles(drawn)
    below, above = student(values)
    return min(low, below), max(high, above)


def student(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean of a few runs' ``values``; nothing but the mean for a single one."""
    middle = float(np.mean(values))
    if len(values) < 2:
        return middle, middle
    half = STUDENT[min(len(values) - 1, len(STUDENT)) - 1] * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return middle - half, middle + half


def _resample(runs: Sequence[Sequence[Trace]], metric: Metric) -> NDArray[np.float64]:
    """(RESAMPLES,) the mean over runs of a metric, episodes and runs drawn anew each time, always in the same way."""
    rng = np.random.default_rng(0)
    most = max(len(traces) for traces in runs)
    drawn = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        place = rng.random(most)  # of the episodes drawn, as a share of a run's: the same ones where runs are as long
        chosen = [runs[run] for run in rng.integers(len(runs), size=len(runs))]
        drawn[i] = np.mean(
            [metric.measure([traces[int(p * len(traces))] for p in place[: len(traces)]]) for traces in chosen]
        )
    return drawn


def _percentiles(drawn: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if np.isfinite(drawn).any() else (np.nan,) * 2
    return float(low), float(high)


def wilson(rate: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate over ``count`` trials (Wilson 1927)."""
    z = NORMAL
    middle = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def fisher(correlation: float, count: int) -> tuple[float, float]:
    """Fisher's 95 % interval of a ``correlation`` over ``count`` pairs, above 3: atanh of it is all but normal."""
    middle = math.atanh(min(max(correlation, -1 + 1e-12), 1 - 1e-12))
    half = NORMAL / math.sqrt(count - 3)
    return math.tanh(middle - half), math.tanh(middle + half)


def scored(traces: Sequence[Trace]) -> list[Trace]:
    """The traces that did not crash."""
    return [trace for trace in traces if not trace.error]


# --- on disk -------------------------------------------------------------------------------------------------------


def save(path: Path, traces: Sequence[Trace]) -> None:
    """Traces as one ``.npz``: arrays, and a JSON line of everything else."""
    arrays: dict[str, NDArray[Any]] = {}
    heads = []
    for i, trace in enumerate(traces):
        head = {"name": trace.name, "end": trace.end, "completion": trace.completion, "error": trace.error}
        heads.append(head | {"signals": sorted(trace.signals), "names": trace.names, "ends": trace.ends})
        named = {"actions": trace.actions, "reference": trace.reference, "time_s": trace.time_s}
        named |= {f"signal_{key}": value for key, value in trace.signals.items()}
        arrays |= {f"{i}/{key}": value for key, value in named.items() if value is not None}
    arrays["traces"] = np.array(json.dumps(heads))
    with whole(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> list[Trace]:
    """The traces that ``save`` wrote."""
    with np.load(path) as arrays:
        heads = json.loads(str(arrays["traces"]))
        return [_read(arrays, i, head) for i, head in enumerate(heads)]


def _read(arrays: Mapping[str, Any], i: int, head: dict[str, Any]) -> Trace:
    signals = {key: arrays[f"{i}/signal_{key}"] for key in head["signals"]}
    reference, time_s = (arrays.get(f"{i}/{key}") for key in ("reference", "time_s"))
    actions = arrays[f"{i}/actions"]
    names, ends = (tuple(head.get(key, ())) for key in ("names", "ends"))
    facts = head["end"], head["completion"], signals, head["error"], names, ends
    return Trace(head["name"], actions, reference, time_s, *facts)
