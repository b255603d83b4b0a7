"""Clips: an agent driving in a simulator, or along a recording, with its steering drawn in the colour of its arm."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from . import domain, driving, evaluate
from .agent import Agent
from .agreement import rate
from .cache import Crop
from .data import Moments
from .datasets import donkey
from .metrics import Trace
from .pictures import LARGE, array, enlarged, gauged, inlined, picture, uri
from .simulators import lanes

SECONDS = 15.0  # most of a clip
SCRAP_S = 2.0  # a stretch of a recording that is shorter does not count as its worst
RATE_HZ = 10.0  # of a clip; every other frame of a simulator at 20 Hz
WIDTH = 640  # pixels, of a picture that a simulator draws for people
SEEN_FROM_ABOVE = {  # colours of the view that lanes draws beside its camera: three masks, one a channel
    "#000000": "off the road",
    "#ff0000": "road",
    "#ffff00": "markings",
    "#ff00ff": "cars",  # on the road
    "#0000ff": "cones",  # always beside it
}


class Clip(NamedTuple):
    """A film for the page."""

    film: str  # data URI of an mp4
    poster: str  # data URI of its middle frame
    words: str  # what it shows


class Still(NamedTuple):
    """A picture for the page."""

    image: str  # data URI
    words: str


def drawn_action(names: Sequence[str], action: str = "") -> int:
    """Which of the actions ``names`` is drawn: the ``action`` asked for, else the steering, else the first."""
    return next((names.index(each) for each in (action, "steering") if each in names), 0)


def rightward(side: domain.Config) -> bool:
    """Whether a positive steering of this domain is known to turn right; of other data nobody has told us."""
    return isinstance(side.simulator, lanes.Config) or isinstance(side.test_dataset or side.dataset, donkey.Config)


def seen_from_above(side: domain.Config) -> dict[str, str]:
    """What the colours of the simulator's bird's-eye view stand for; nothing where it draws none."""
    return SEEN_FROM_ABOVE if isinstance(side.simulator, lanes.Config) else {}


# --- in a simulator ------------------------------------------------------------------------------------------------


@contextmanager
def alone() -> Iterator[None]:
    """One thread: the pictures of a world or two are too little work to share out, and sharing costs more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@alone()
def driven(
    agent: Agent, simulator: Any, seed: int, size: tuple[int, int], crop: Crop | None, ink: str, action: str = ""
) -> Clip:
    """The first seconds of the episode ``seed`` in a simulator (its Config), driven by ``agent``."""
    worlds = simulator.build(count=1, seed=0)
    index = drawn_action(worlds.action_names, action)
    name = worlds.action_names[index]
    every = max(1, round(worlds.rate_hz / RATE_HZ))
    frames, end, info = [], "", {}
    seen, info = worlds.reset(seed=[seed])
    agent.reset(np.ones(1, bool))
    for step in range(int(SECONDS * worlds.rate_hz)):
        command = agent.act(*driving.observed(seen, size, crop, agent.looks))
        if step % every == 0:
            text = _speech(step / worlds.rate_hz, info)
            frames.append(_scene(worlds.render()[0], name, command[0, index], text, ink))
        seen, _, _, _, info = worlds.step(command)
        end = str(info["end"][0])
        if end:
            text = f"{end.replace('_', ' ')} after {(step + 1) / worlds.rate_hz:.1f} s"
            frames += [_scene(worlds.render()[0], name, command[0, index], text, ink)] * int(RATE_HZ)
            break
    hz = worlds.rate_hz / every
    worlds.close()
    cut = f"the clip ends after {SECONDS:g} s; the episode went on"
    return _clip(frames, hz, f"episode {seed}, " + (f"ended: {end.replace('_', ' ')}" if end else cut))


def _scene(render: NDArray[np.uint8], name: str, command: float, text: str, ink: str) -> Image.Image:
    return gauged(enlarged(Image.fromarray(render), WIDTH), name, float(command), None, text, ink)


def _speech(time_s: float, info: dict[str, Any]) -> str:
    words = []
    if "signal_speed_mps" in info:
        words.append(f"{float(info['signal_speed_mps'][0]):.1f} m/s")
    if "signal_lane_offset_m" in info:
        words.append(f"offset {float(info['signal_lane_offset_m'][0]):+.2f} m")
    return "   ".join([*words, f"{time_s:.1f} s"])


@alone()
def endings(traces: Sequence[Trace], simulator: Any, ink: str, action: str = "") -> list[Still]:
    """The last picture of driven episodes, which ``simulator`` (its Config) is taken through once more."""
    worlds = simulator.build(count=len(traces), seed=0)
    found = []
    for first in range(0, len(traces), worlds.num_envs):
        found += _ended(worlds, traces[first : first + worlds.num_envs], ink, action)
    worlds.close()
    return found


def _ended(worlds: Any, traces: Sequence[Trace], ink: str, action: str) -> list[Still]:
    """The last pictures of no more episodes than there are worlds."""
    index = drawn_action(worlds.action_names, action)
    name = worlds.action_names[index]
    lengths, idle = [len(trace.actions) for trace in traces], worlds.num_envs - len(traces)
    worlds.reset(seed=[int(trace.name) for trace in [*traces, *[traces[-1]] * idle]])
    found: dict[int, Still] = {}
    for step in range(max(lengths)):
        commands = np.stack([trace.actions[min(step, len(trace.actions) - 1)] for trace in traces])
        commands = np.concatenate([commands, commands[-1:].repeat(idle, 0)])
        info = worlds.step(commands)[-1]
        here = [world for world, length in enumerate(lengths) if length == step + 1]
        pictures = worlds.render() if here else []
        for world in here:
            trace, again = traces[world], str(info["end"][world])
            words = f"seed {trace.name}: {trace.end.replace('_', ' ')} after {lengths[world] / worlds.rate_hz:.1f} s"
            words += f", {100 * trace.completion:.0f} % done"
            words += "" if again == trace.end else f" (taken through again: {again.replace('_', ' ') or 'no end'})"
            scene = _scene(pictures[world], name, commands[world, index], trace.end.replace("_", " "), ink)
            found[world] = Still(uri(scene), words)
    return [found[world] for world in sorted(found)]


# --- along a recording ---------------------------------------------------------------------------------------------


def along(agent: Agent, moments: Moments, start: int, ink: str, action: str = "") -> Clip:
    """Up to SECONDS of a recording around the moment ``start``, with what ``agent`` would have done."""
    assert moments.actions is not None
    chosen = window(moments, start)
    first = moments.rows[chosen[0]]
    index = drawn_action(moments.action_names, action)
    name = moments.action_names[index]
    guesses = evaluate.replay(agent, moments.select(chosen), evaluate.Evaluation(stretch_s=1e6))
    guess = np.concatenate([trace.actions for trace in guesses])[:, index]
    speed = float(np.nan_to_num(rate(moments), nan=RATE_HZ))  # episodes of one moment have no rate
    every = max(1, round(speed / RATE_HZ))
    frames = []
    for i in range(0, len(chosen), every):
        row = moments.rows[chosen[i]]
        image = enlarged(picture(moments.frames[row]), LARGE)
        frames.append(gauged(image, name, guess[i], moments.actions[row, index], f"{moments.time_s[row]:.1f} s", ink))
    until = moments.time_s[moments.rows[chosen[-1]]]
    words = f"recording {called(moments)[moments.episode[first]]}, {moments.time_s[first]:.1f} s to {until:.1f} s of it"
    return _clip(frames, speed / every, words)


def window(moments: Moments, start: int) -> NDArray[np.int64]:
    """Up to SECONDS of uninterrupted moments from ``start`` on, or from before it where the recording ends too soon."""
    time_s = moments.time_s[moments.rows]
    torn = (np.diff(moments.rows) != 1) | (np.diff(moments.episode[moments.rows]) != 0)
    part = np.concatenate([[0], np.cumsum(torn)])
    here = np.flatnonzero(part == part[start])
    begin = min(time_s[start], time_s[here[-1]] - SECONDS)
    found: NDArray[np.int64] = here[(time_s[here] >= begin) & (time_s[here] < max(begin, time_s[here[0]]) + SECONDS)]
    return found


def stretches(traces: Sequence[Trace]) -> list[Trace]:
    """The stretches of recordings, without scraps too short for a mean, unless there is nothing else."""
    own = [trace for trace in traces if trace.reference is not None and trace.time_s is not None and not trace.error]
    return [t for t in own if t.time_s is not None and t.time_s[-1] - t.time_s[0] >= SCRAP_S] or own


def worst(traces: Sequence[Trace], moments: Moments, count: int, ink: str, action: str = "") -> list[Still]:
    """The moment of the largest error in each of the ``count`` stretches that were predicted worst."""
    index = drawn_action(moments.action_names, action)
    name = moments.action_names[index]
    found = []
    for trace in sorted(traces, key=lambda trace: -error(trace, index))[:count]:
        assert trace.reference is not None and trace.time_s is not None
        at = int(np.abs(trace.actions - trace.reference)[:, index].argmax())
        row = moments.rows[place(moments, trace, at)]
        image = enlarged(picture(moments.frames[row]), LARGE)
        guess, truth = float(trace.actions[at, index]), float(trace.reference[at, index])
        words = f"recording {recording(trace)} at {trace.time_s[at]:.1f} s: predicted {guess:+.2f}, recorded "
        words += f"{truth:+.2f}; mean error over {trace.time_s[-1] - trace.time_s[0]:.0f} s {error(trace, index):.3f}"
        drawn = gauged(image, name, guess, truth, f"{trace.time_s[at]:.1f} s", ink)
        found.append(Still(uri(drawn), words.replace("-", "−")))
    return found


def error(trace: Trace, index: int) -> float:
    """The mean absolute error of one action in a stretch."""
    assert trace.reference is not None
    return float(np.abs(trace.actions - trace.reference)[:, index].mean())


def place(moments: Moments, trace: Trace, at: int) -> int:
    """Which of the N moments the moment ``at`` of a recording's stretch is."""
    assert trace.time_s is not None
    numbers = [number for number, name in enumerate(called(moments)) if name == recording(trace)]
    there = np.isin(moments.episode[moments.rows], numbers) & (moments.time_s[moments.rows] == trace.time_s[at])
    return int(np.flatnonzero(there)[0])


def called(moments: Moments) -> tuple[str, ...]:
    """The names of the recordings, by the numbers in ``episode``: their numbers where they have none."""
    return moments.episode_names or tuple(str(number) for number in range(int(moments.episode.max()) + 1))


def recording(trace: Trace) -> str:
    """The name of the recording that a stretch is of."""
    return trace.name.rpartition("@")[0]


# --- as a file -----------------------------------------------------------------------------------------------------


def _clip(frames: Sequence[Image.Image], rate_hz: float, words: str) -> Clip:
    film = inlined(encoded(frames, rate_hz), "video/mp4")
    return Clip(film, uri(frames[len(frames) // 2], 75), words)


def encoded(frames: Sequence[Image.Image], rate_hz: float) -> bytes:
    """An mp4 of ``frames`` that every browser plays."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        speed = Fraction(rate_hz).limit_denominator(1000)
        stream = container.add_stream("libx264", rate=speed, options={"crf": "28", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array(frame), format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()
