"""Moments that go together, drawn from a file of pairs: which, how often, and which files are refused."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from causeway.data import Moments
from causeway.datasets import Dataset
from causeway.draws import Pairing, Pairs, breadth, shares
from causeway.errors import ConfigError, DataError
from causeway.pairs import pair
from walks import SOURCE, TARGET, Recorded, walk


def moments(dataset: Dataset, rows: Sequence[int] | None = None) -> Moments:
    lengths = [len(episode) for episode in dataset.episodes]
    state = np.concatenate([episode.state for episode in dataset.episodes])
    return Moments(
        frames=np.zeros((len(state), 1, 3, 2, 2), np.uint8),
        state=state,
        actions=state,
        episode=np.repeat(np.arange(len(lengths)), lengths),
        time_s=np.concatenate([np.arange(n) / 10 for n in lengths]),
        rows=np.arange(len(state)) if rows is None else np.array(rows),
        episode_names=tuple(episode.name for episode in dataset.episodes),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pair(SOURCE, TARGET, tmp_path / "p.parquet")
    return tmp_path / "p.parquet"


def drawn(
    file: Path, source: Moments, target: Moments, count: int = 4000, **settings: float
) -> Iterator[tuple[int, ...]]:
    """Episodes and steps that go together: source episode and step, target episode and step."""
    ours, theirs = Pairs(Pairing(str(file), **settings), source, target).draw(np.random.default_rng(0), count)  # type: ignore[arg-type]
    places = []
    for side, chosen in ((source, ours), (target, theirs)):
        frame = side.rows[chosen]
        places += [side.episode[frame], frame - np.searchsorted(side.episode, side.episode[frame])]
    return zip(*(place.tolist() for place in places))


def test_without_a_window_moments_lie_on_the_path(file: Path) -> None:
    rows = {(row["source"], row["target"]): row for row in pq.read_table(file).to_pylist()}
    wanted = {
        (int(s[1]), i, int(t[1]), j)
        for (s, t), row in rows.items()
        for i, j in zip(row["source_step"], row["target_step"])
    }
    assert set(drawn(file, moments(SOURCE), moments(TARGET), window=0, sharpness=0)) == wanted, (
        "all of it, and nothing else"
    )


def test_near_episodes_are_drawn_as_often_as_published(file: Path) -> None:
    distance = {(row["source"], row["target"]): row["distance"] for row in pq.read_table(file).to_pylist()}
    found = list(drawn(file, moments(SOURCE), moments(TARGET), 40_000, sharpness=3.0, middle=0.5))
    for target in (0, 1):
        likely = np.array([1 / (1 + np.exp(3.0 * (distance[f"e{s}", f"e{target}"] - 0.5))) for s in range(3)])
        counts = np.bincount([s for s, _, t, _ in found if t == target], minlength=3)
        assert counts / counts.sum() == pytest.approx(likely / likely.sum(), abs=0.02)


def test_a_window_reaches_so_far_and_no_farther(file: Path) -> None:
    path = set(drawn(file, moments(SOURCE), moments(TARGET), window=0, sharpness=0))
    for s, i, t, j in drawn(file, moments(SOURCE), moments(TARGET), window=2, sharpness=0):
        assert any((s, k, t, j) in path for k in range(i - 2, i + 3)) or i in (0, len(SOURCE.episodes[s]) - 1)
    far = {i for s, i, t, j in drawn(file, moments(SOURCE), moments(TARGET), window=100, sharpness=0) if s == 2}
    assert far == set(range(6)), "never beyond its episode"


def test_far_apart_as_they_are_some_episode_is_drawn(file: Path) -> None:
    nearest = {}
    for row in pq.read_table(file).to_pylist():
        nearest[row["target"]] = min(nearest.get(row["target"], (9e9, "")), (row["distance"], row["source"]))
    for s, _, t, _ in drawn(file, moments(SOURCE), moments(TARGET), 50, sharpness=1e6):
        assert f"e{s}" == nearest[f"e{t}"][1], "no probability is 0 / 0"


def test_instead_of_what_is_held_back_the_nearest_of_its_episode_is_drawn(file: Path) -> None:
    kept = {0: [0, 1, 6], 1: [], 2: [1, 2]}  # steps of the episodes that begin at the frames 0, 9 and 13
    rows = [first + step for first, own in zip((0, 9, 13), kept.values()) for step in own]
    for target in (moments(TARGET), moments(TARGET, [7, 8])):
        path = set(drawn(file, moments(SOURCE), target, window=0, sharpness=0))
        wanted = {(s, min(kept[s], key=lambda step: abs(step - i)), t, j) for s, i, t, j in path if kept[s]}
        assert set(drawn(file, moments(SOURCE, rows), target, window=0, sharpness=0)) == wanted
    assert {(t, j) for *_, t, j in wanted} == {(1, 0), (1, 1)}


def test_pairs_of_other_recordings_are_refused(file: Path, tmp_path: Path) -> None:
    longer = Recorded(walk(0, 10), walk(1, 4), walk(2, 6), root="sim")
    with pytest.raises(DataError, match=r"p.parquet is of other recordings: episode e0 has 9 moments there"):
        Pairs(Pairing(str(file)), moments(longer), moments(TARGET))
    more = Recorded(walk(3, 7), walk(4, 5), walk(5, 5), root="real")
    with pytest.raises(DataError, match=r"p.parquet has no pair for episode e2 of the target"):
        Pairs(Pairing(str(file)), moments(SOURCE), moments(more))
    other = moments(SOURCE)
    with pytest.raises(DataError, match=r"p.parquet is of other recordings: no episode is known here"):
        Pairs(Pairing(str(file)), replace(other, episode_names=("a", "b", "c")), moments(TARGET))
    with pytest.raises(ConfigError, match=r"There is no file of pairs .*Make it with: causeway pair"):
        Pairs(Pairing(str(tmp_path / "none")), moments(SOURCE), moments(TARGET))
    for wrong in ({"share": 1.5}, {"sharpness": -1.0}, {"window": -1}):
        with pytest.raises(ConfigError, match="share between 0 and 1"):
            Pairing("x", **wrong)  # type: ignore[arg-type]


def test_from_how_many_episodes_a_target_episode_draws() -> None:
    distance = np.array([[0.1, 0.2, 0.3, np.inf], [0.3, 0.1, 0.2, np.inf]])
    assert breadth(shares(Pairing(sharpness=0), distance)) == pytest.approx(3), "all that are known, as often"
    assert breadth(shares(Pairing(sharpness=1e6), distance)) == pytest.approx(1), "the nearest alone"
    likely = 1 / (1 + np.exp(10 * (np.array([0.1, 0.2, 0.3]) - 0.2)))
    share = likely / likely.sum()
    some = shares(Pairing(sharpness=10, middle=0.2), distance)
    assert some[0] == pytest.approx([*share, 0]) and some[1] == pytest.approx([share[2], share[0], share[1], 0])
    assert breadth(some) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert breadth(shares(Pairing(), np.full((1, 2), np.inf))) == 0, "nobody draws"
