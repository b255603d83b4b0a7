"""The file of pairs: what it holds, what is compared, what is refused, and that a killed call goes on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from causeway import pairs
from causeway.data import Moments
from causeway.datasets import Dataset, Episode
from causeway.errors import ConfigError, DataError, InUse
from causeway.pairs import Pairing, Pairs, pair
from causeway.warping import warp

Rows = Sequence[Sequence[float]]


class Recorded(Dataset):
    """Episodes in memory: their state row by row, and the state backwards as actions."""

    cameras, rate_hz = ("front",), 10.0

    def __init__(self, *states: Rows, names: tuple[str, ...] = ("x", "y"), actions: bool = True, root: str = "here"):
        self.root, self.state_names = root, names
        self.action_names = tuple(f"next_{name}" for name in names) if actions else ()
        arrays = [np.array(rows, np.float32).reshape(len(rows), len(names)) for rows in states]
        self.episodes = tuple(
            Episode(f"e{i}", np.arange(len(a)) / 10, a, a[::-1] if actions else None) for i, a in enumerate(arrays)
        )

    def decoded(self, episode: int, start: int) -> Iterator[NDArray[np.uint8]]:
        raise NotImplementedError

    def fingerprint(self) -> str:
        return self.root


def walk(seed: int, length: int) -> Rows:
    rows: Rows = np.random.default_rng(seed).normal(size=(length, 2)).cumsum(0).tolist()
    return rows


SOURCE = Recorded(walk(0, 9), walk(1, 4), walk(2, 6), root="sim")
TARGET = Recorded(walk(3, 7), walk(4, 5), root="real")


def test_every_pair_has_its_path_in_units_of_the_spread_of_both_sides(tmp_path: Path) -> None:
    assert pair(SOURCE, TARGET, tmp_path / "p.parquet", jobs=2) == 6
    table = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert [(row["target"], row["source"]) for row in table] == [
        (t, s) for t in ("e0", "e1") for s in ("e0", "e1", "e2")
    ]
    spread = np.concatenate([e.state for e in (*SOURCE.episodes, *TARGET.episodes)]).std(0)
    for row in table:
        ours, theirs = (
            next(e for e in side.episodes if e.name == row[key])
            for side, key in ((SOURCE, "source"), (TARGET, "target"))
        )
        (wanted,) = warp([ours.state / spread], theirs.state / spread)
        assert row["distance"] == pytest.approx(wanted.distance, rel=1e-5)
        assert list(zip(row["source_step"], row["target_step"])) == [tuple(step) for step in wanted.steps.tolist()]
    assert [file.name for file in tmp_path.iterdir() if "lock" not in file.name] == ["p.parquet"], "nothing left over"


def test_what_is_compared_is_chosen_by_name(tmp_path: Path) -> None:
    def distances(*by: str) -> list[float]:
        pair(SOURCE, TARGET, tmp_path / "p.parquet", by)
        found: list[float] = pq.read_table(tmp_path / "p.parquet")["distance"].to_pylist()
        return found

    assert len({tuple(distances(*by)) for by in ((), ("x",), ("next_y",), ("x", "next_x"))}) == 4
    assert distances() == distances("x", "y")
    blind = [Recorded(*(e.state.tolist() for e in side.episodes)) for side in (SOURCE, TARGET)]
    for side in blind:
        side.state_names, side.episodes = (), tuple(replaced(e) for e in side.episodes)
    pair(blind[0], blind[1], tmp_path / "p.parquet")
    assert pq.read_table(tmp_path / "p.parquet")["distance"].to_pylist() == pytest.approx(distances("next_x", "next_y"))


def replaced(episode: Episode) -> Episode:
    return Episode(episode.name, episode.time_s, episode.state[:, :0], episode.actions)


def test_a_number_that_is_constant_on_both_sides_is_left_out(tmp_path: Path) -> None:
    sides = [Recorded(*([[a, 5.0] for a, _ in e.state.tolist()] for e in side.episodes)) for side in (SOURCE, TARGET)]
    pair(sides[0], sides[1], tmp_path / "still.parquet")
    pair(sides[0], sides[1], tmp_path / "x.parquet", ["x"])
    still, x = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("still", "x"))
    assert still.equals(x) and b'"by": ["x"]' in still.schema.metadata[b"pairs"]


@pytest.mark.parametrize(
    ("source", "by", "error", "sentence"),
    [
        (SOURCE, ["z"], ConfigError, "sim has no state or action 'z'. Known: next_x, next_y, x, y"),
        (
            Recorded(walk(0, 3), names=("x", "w"), root="sim"),
            [],
            ConfigError,
            "states differ: x, w in sim, x, y in real",
        ),
        (
            Recorded(walk(0, 3), actions=False, root="sim"),
            ["next_x"],
            ConfigError,
            "sim has no state or action 'next_x'",
        ),
        (Recorded(root="sim"), [], DataError, "sim has no episodes to pair"),
        (Recorded([[0, 0], [1, np.nan]], root="sim"), [], DataError, "sim episode e0: y is nan at frame 1"),
        (
            Recorded([[0, 0], [0, 57 * 9.0]], root="sim"),
            [],
            DataError,
            "y spreads .* times more in the source: are its units",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    source: Dataset, by: list[str], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence):
        pair(source, TARGET, tmp_path / "p.parquet", by)
    assert not (tmp_path / "p.parquet").exists()


def test_robots_that_never_move_are_refused(tmp_path: Path) -> None:
    still = Recorded([[1.0, 2.0]] * 4, root="sim")
    with pytest.raises(DataError, match="Nothing to pair by: x, y never change"):
        pair(still, still, tmp_path / "p.parquet")


def test_episodes_of_one_moment_are_paired(tmp_path: Path) -> None:
    pair(Recorded([[0.0, 1.0]], [[3.0, 4.0]]), TARGET, tmp_path / "p.parquet")
    row = pq.read_table(tmp_path / "p.parquet").to_pylist()[0]
    assert row["source_step"] == [0] * 7 and row["target_step"] == list(range(7))


def test_an_episode_too_long_for_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "LONGEST", 100)
    with pytest.raises(DataError, match="sim episode e0 has 9 moments, too many"):
        pair(SOURCE, TARGET, tmp_path / "p.parquet")


def test_few_go_along_at_once_where_room_is_scarce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair(SOURCE, TARGET, tmp_path / "all.parquet")
    sizes: list[int] = []

    def counted(x: list[NDArray[np.float32]], y: NDArray[np.float32]) -> object:
        sizes.append(len(x))
        return warp(x, y)

    monkeypatch.setattr(pairs, "warp", counted)
    monkeypatch.setattr(pairs, "ROOM", 2 * 6 * 13)
    pair(SOURCE, TARGET, tmp_path / "few.parquet")
    assert sizes == [1, 2, 1, 2], "the longest alone, two of at most 6 moments together"
    assert pq.read_table(tmp_path / "few.parquet").equals(pq.read_table(tmp_path / "all.parquet"))


def test_a_killed_call_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair(SOURCE, TARGET, tmp_path / "whole.parquet")
    along: list[int] = []

    def breaks(x: list[NDArray[np.float32]], y: NDArray[np.float32]) -> object:
        along.append(len(y))
        if along == [7, 5]:
            raise KeyboardInterrupt
        return warp(x, y)

    monkeypatch.setattr(pairs, "warp", breaks)
    with pytest.raises(KeyboardInterrupt):
        pair(SOURCE, TARGET, tmp_path / "p.parquet")
    assert not (tmp_path / "p.parquet").exists()
    pair(SOURCE, TARGET, tmp_path / "p.parquet")
    assert along == [7, 5, 5], "the first target episode was done"
    assert pq.read_table(tmp_path / "p.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))


def test_two_calls_do_not_write_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def again(x: list[NDArray[np.float32]], y: NDArray[np.float32]) -> object:
        pair(SOURCE, TARGET, tmp_path / "p.parquet")
        raise AssertionError

    monkeypatch.setattr(pairs, "warp", again)
    with pytest.raises(InUse, match=r"p.parquet is being written by another"):
        pair(SOURCE, TARGET, tmp_path / "p.parquet")


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
