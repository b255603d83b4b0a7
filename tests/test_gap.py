"""The gap report: what it says of sets whose gap is known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from causeway import config, gap, progress, readings
from causeway.config import instruments
from causeway.data import Moments
from causeway.encoders import pixels
from causeway.errors import ConfigError, DataError
from causeway.gap import Comparison, chosen, compare, unusual
from causeway.gap_page import lines
from causeway.halves import Halves

QUICK = Comparison(resamples=40, stretch_s=0.5)


@pytest.fixture
def sides(moments: Callable[..., Moments]) -> tuple[Moments, Moments]:
    """The same world twice, the second lighter."""
    ours, theirs = moments(60, seed=0), moments(60, seed=1)
    return replace(ours, frames=ours.frames // 2), replace(theirs, frames=theirs.frames // 2 + 90)


def shown(moments: Moments) -> np.ndarray:
    return moments.frames[moments.rows]


def test_a_bridge_that_gives_the_others_look_closes_the_gap(sides: tuple[Moments, Moments]) -> None:
    ours, theirs = sides
    apart = (shown(theirs).mean((0, 3, 4)) - shown(ours).mean((0, 3, 4)))[None, :, :, None, None]
    redrawn = (shown(ours) + apart).clip(0, 255).astype(np.uint8)
    found = compare(QUICK, instruments(QUICK), ours, theirs, redrawn)
    for name in ("frechet", "kernel", "cmmd", "style"):
        closed = found.readings.get(f"{name}_closed")
        assert closed and 60 < closed.value < 101 and closed.measure.low > 30, name
    changed = found.readings.get("edges_changed")
    assert changed and changed.value < 0.05 and found.counts == (60, 60)


def test_what_is_not_redrawn_closes_nothing_and_changes_nothing(sides: tuple[Moments, Moments]) -> None:
    found = compare(QUICK, instruments(QUICK), *sides, shown(sides[0]))
    for each in found.readings.values():
        if each.name.endswith(("_closed", "_changed")) or each.name == "flicker":
            assert each.value == pytest.approx(0, abs=1e-5), each.name
            assert np.allclose(each.drawn, 0, atol=1e-4), each.name


def test_a_domain_is_no_farther_from_itself_than_its_noise_floor(moments: Callable[..., Moments]) -> None:
    found = compare(QUICK, instruments(QUICK), moments(60, seed=0), moments(60, seed=1))
    for name in ("frechet", "cmmd", "kernel"):
        before, floor = found.readings.get(f"{name}_before"), found.readings.get(f"{name}_floor")
        assert before and floor and before.value < np.quantile(floor.drawn, 0.99), name
    assert "frechet" not in found.readings and not found.changed, "nothing was redrawn"


def test_the_channels_that_carry_the_gap() -> None:
    ours, theirs = np.zeros((4, 3)), np.zeros((4, 3))
    ours[:, 0], theirs[:, 0] = [0, 1, 0, 1], [4, 5, 4, 5]  # 4 apart, spread 1/4 in variance
    ours[:, 1], theirs[:, 1] = [0, 2, 0, 2], [4, 6, 4, 6]  # 4 apart, spread 1
    assert gap.carriers(ours, theirs) == pytest.approx([64 / 80, 16 / 80, 0])


def test_flicker_is_what_the_clips_own_change_does_not_explain(moments: Callable[..., Moments]) -> None:
    ours = moments(40)
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 100, (1, *ours.frames.shape[1:])), len(ours.frames), 0)
    frames[:, 0, :, :, 0] += np.arange(len(frames))[:, None, None]  # something moves
    frames = frames.astype(np.uint8) // 2  # doubled, they still fit
    ours = replace(ours, frames=frames)

    def flicker(redrawn: np.ndarray) -> float:
        found = compare(QUICK, instruments(QUICK), ours, ours, redrawn.astype(np.uint8)).readings.get("flicker")
        assert found
        return found.value

    assert flicker(2 * frames + 7) == pytest.approx(0, abs=1e-3), "another contrast does not flicker"
    blinking = frames + 10 * (np.arange(len(frames)) % 2)[:, None, None, None, None]
    assert flicker(blinking) == pytest.approx(10, abs=0.2)


def test_flicker_needs_neighbours(moments: Callable[..., Moments]) -> None:
    ours = moments(40).select(np.arange(0, 40, 2))
    assert compare(QUICK, instruments(QUICK), ours, ours, shown(ours)).readings.get("flicker") is None


def test_halves_are_of_stretches_and_the_same_for_everybody(moments: Callable[..., Moments]) -> None:
    ours, theirs = moments(40), moments(40, seed=1)
    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    Halves(ours, theirs, 0.5, 10).of_both(lambda a, b: drawn.append((a, b)) or 0.0)  # type: ignore[func-returns-value]
    again: list[tuple[np.ndarray, np.ndarray]] = []
    Halves(ours, theirs, 0.5, 10).of_both(lambda a, b: again.append((a, b)) or 0.0)  # type: ignore[func-returns-value]
    for (a, b), (c, d) in zip(drawn, again):
        assert np.array_equal(a, c) and np.array_equal(b, d) and 0 < a.sum() < len(a)
        stretch = np.floor(ours.time_s[ours.rows] / 0.5) + 1000 * ours.episode[ours.rows]
        assert all(len(set(a[stretch == each])) == 1 for each in set(stretch)), "a stretch is drawn whole"
    assert len({tuple(a) for a, _ in drawn}) > 5


def test_too_few_stretches_have_no_interval_and_no_noise_floor(moments: Callable[..., Moments]) -> None:
    ours, theirs = moments(40), moments(40, seed=1)
    halves = Halves(ours, theirs, 1e6, 10)
    assert np.isnan(halves.of_ours(np.sum)).all() and np.isnan(halves.of_theirs(np.sum)).all()
    mixed = Halves(replace(ours, time_s=ours.time_s * 1e7), theirs, 1e6, 10)
    assert (mixed.of_ours(np.sum) == 20).all() and np.isnan(mixed.of_both(lambda a, b: 1.0)).all()
    found = compare(Comparison(resamples=10, stretch_s=1e6), instruments(QUICK), ours, theirs)
    assert all(np.isnan(each.measure.low) for each in found.readings.values())


def test_why_there_is_no_interval_is_said(
    moments: Callable[..., Moments], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    ours, theirs = moments(40), moments(40, seed=1)
    Halves(ours, replace(theirs, time_s=theirs.time_s * 0), 0.5, 10)
    said = capsys.readouterr().err
    episodes = len(np.unique(theirs.episode[theirs.rows]))
    assert said.startswith(f"The pictures of B lie in {episodes} stretches of 0.5 s: without 4") and "of A" not in said


def test_what_is_taken_are_short_clips_spread_evenly(moments: Callable[..., Moments]) -> None:
    recorded = moments(400)
    few = chosen(recorded, 80)
    assert len(few) == 80 and few.rows[0] == recorded.rows[0] and few.rows[-1] == recorded.rows[-1]
    assert (np.diff(few.rows) == 1).sum() == 70
    assert chosen(recorded, 400) is recorded
    for count in (5, 15):
        fewer = chosen(recorded, count)
        assert len(fewer) == count and fewer.rows[0] == recorded.rows[0] and fewer.rows[-1] == recorded.rows[-1]


def test_a_report_is_read_as_it_was_written(sides: tuple[Moments, Moments], tmp_path: Path) -> None:
    found = compare(QUICK, instruments(QUICK), *sides, shown(sides[0]))
    readings.save(tmp_path / "gap.npz", found)
    read = readings.load(tmp_path / "gap.npz")
    assert read.encoder == found.encoder and read.counts == found.counts
    assert str([each[:6] for each in read.readings.values()]) == str([each[:6] for each in found.readings.values()])
    assert all(
        np.array_equal(a.drawn, b.drawn, equal_nan=True)
        for a, b in zip(read.readings.values(), found.readings.values())
    )
    assert np.array_equal(read.channels, found.channels) and read.changed.keys() == found.changed.keys()


def test_sides_of_other_cameras_cannot_be_compared(sides: tuple[Moments, Moments]) -> None:
    ours, theirs = sides
    with pytest.raises(DataError, match="A has 1 cameras and B 2"):
        compare(QUICK, instruments(QUICK), ours, replace(theirs, frames=np.repeat(theirs.frames, 2, 1)))


def test_a_word_tells_what_was_compared_and_how(sides: tuple[Moments, Moments], tmp_path: Path) -> None:
    ours, theirs = sides
    copied = np.memmap(tmp_path / "copied.frames", np.uint8, "w+", shape=ours.frames.shape)
    copied[:] = ours.frames
    words = [
        compare(settings, instruments(settings), a, theirs).word
        for settings, a in (
            (QUICK, ours),
            (QUICK, replace(ours, frames=copied)),
            (replace(QUICK, resamples=20), ours),
            (QUICK, ours.select(np.arange(20))),
            (QUICK, replace(ours, frames=ours.frames + 1)),
            (QUICK, replace(ours, time_s=ours.time_s * 2)),
            (QUICK, replace(ours, episode=ours.episode // 2)),
        )
    ]
    assert words[0] == words[1] and len(set(words)) == 6


def test_one_picture_has_a_style_and_nothing_else(moments: Callable[..., Moments]) -> None:
    ours, one = moments(30), moments(30, seed=1).select(np.array([3]))
    names = set(compare(QUICK, instruments(QUICK), ours, one).readings)
    assert names == {"style_before", "style_floor"}
    with pytest.raises(DataError, match="B holds no pictures"):
        compare(QUICK, instruments(QUICK), ours, one.select(np.zeros(0, np.int64)))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_no_memory_to_look_names_what_to_lower(error: Exception, sides: tuple[Moments, Moments]) -> None:
    tools = instruments(QUICK)

    class Hungry(pixels.Pixels):
        def forward(self, pictures: Any) -> Any:
            raise error

    encoder = Hungry(pixels.Config())
    with pytest.raises(ConfigError, match=r"No memory to look at pictures: lower .* a smaller gap\.encoder"):
        compare(QUICK, tools._replace(encoder=encoder), *sides)


def test_settings_that_measure_nothing_are_refused() -> None:
    for wrong in ({"pictures": 1}, {"resamples": 3}, {"stretch_s": 0.0}):
        with pytest.raises(ConfigError, match="needs pictures of 2 or more"):
            Comparison(**wrong)  # type: ignore[arg-type]


def test_the_way_that_words_say_is_compared_with_how_pictures_of_length_one_moved() -> None:
    a = np.array([[2.0, 0, 0, 5], [0, 3, 1, 0]], np.float32)  # two moments of two cameras, vectors of two numbers
    c = np.array([[0.0, 7, 0, 5], [0, 1, 0, 2]], np.float32)
    way = np.array([-0.6, 0.8], np.float32)
    halves: Any = SimpleNamespace(of_ours=lambda number: np.array([number(np.array([True, False]))]))
    found = gap._worded(a, c, way, halves)
    turned = (-1 * -0.6 + 1 * 0.8) / np.sqrt(2)  # from (1, 0) to (0, 1)
    assert found.value == pytest.approx((turned + 0 + 0 + turned) / 4)
    assert found.drawn[0] == pytest.approx(turned / 2) and found.bounds == (-1, 1)


def test_directional_is_the_cosine_with_the_way_from_a_to_b(moments: Callable[..., Moments]) -> None:
    halves = Halves(moments(40), moments(40), 0.5, 10)
    start, there = np.zeros((40, 2)), np.tile([3.0, 0.0], (40, 1))
    half = np.where(np.arange(40)[:, None] % 2, [7.0, 0.0], [0.0, 2.0])  # every other one went across
    found = gap._directional(start, there, half, halves)
    assert found.value == pytest.approx(0.5) and found.drawn == pytest.approx([0.5] * 10, abs=0.3)
    assert gap._directional(start, there, start, halves).value == 0, "who stays went nowhere"
    assert gap._directional(start, there, -there, halves).value == pytest.approx(-1)


def test_what_is_unusual_says_neither_defaults_nor_folders() -> None:
    def told(**table: Any) -> dict[str, Any]:
        return unusual(config.structure(Comparison, table, "gap"))

    assert told() == told(pictures=Comparison().pictures, encoder="pixels") == {}
    seen = {"name": "autoencoder", "weights": "/here/taef2"}
    assert told(encoder=seen, pictures=5) == told(pictures=5, encoder=seen | {"weights": "there/taef2"})
    assert told(encoder=seen) == {"encoder": {"name": "autoencoder", "weights": "taef2"}} != told(encoder="autoencoder")


@pytest.mark.parametrize("sizes", [(20, 200), (60, 60), (200, 20)])
def test_chance_makes_no_gap_between_sets_of_any_size(sizes: tuple[int, int], moments: Callable[..., Moments]) -> None:
    """A set of few pictures lies far from any other by most distances, as does as small a part of the other."""

    def grained(count: int, seed: int) -> Moments:
        made = moments(count)
        frames = np.random.default_rng(seed).normal(128, 40, made.frames.shape).clip(0, 255).astype(np.uint8)
        return replace(made, frames=frames, time_s=np.arange(count) * 1.0)  # each a stretch of its own

    ours, theirs = (grained(count, seed) for seed, count in enumerate(sizes))
    lighter = replace(ours, frames=ours.frames // 2 + 120)
    for a, said in (ours, "no gap shown"), (lighter, "a gap"):
        found = {line.name: line.verdict for line in lines(compare(QUICK, instruments(QUICK), a, theirs))}
        assert {name: found[name] for name in ("frechet", "cmmd")} == {"frechet": said, "cmmd": said}


def test_what_stands_for_a_in_the_noise_floor_is_as_large(moments: Callable[..., Moments]) -> None:
    theirs = replace(moments(40), time_s=np.arange(40) * 1.0)
    sizes = {
        count: {int(np.sum(found)) for found in Halves(moments(count), theirs, 0.5, 10).of_theirs(np.sum)}
        for count in (7, 20, 60)
    }
    assert sizes == {7: {7}, 20: {20}, 60: {20}}, "as far as half of B reaches"
