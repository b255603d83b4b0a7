"""The file of pairs: what it holds, what is compared, what is refused, and that a killed call goes on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from causeway import pairs
from causeway.datasets import Dataset, Episode
from causeway.errors import ConfigError, DataError, InUse
from causeway.pairs import pair
from causeway.warping import warp
from walks import SOURCE, TARGET, Recorded, walk


def test_every_pair_has_its_path_in_units_of_the_spread_of_both_sides(tmp_path: Path) -> None:
    assert pair(SOURCE, TARGET, tmp_path / "p.parquet", jobs=2).shape == (2, 3)
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


def test_nothing_but_pairs_is_overwritten(tmp_path: Path) -> None:
    other, broken = tmp_path / "file-000.parquet", tmp_path / "half.parquet"
    pq.write_table(pa.table({"action": [1.0]}), other)
    broken.write_bytes(b"PAR1")
    for path in (other, broken):
        before = path.read_bytes()
        with pytest.raises(ConfigError, match=f"{path} is there already and is no file of pairs: it is not overwritt"):
            pair(SOURCE, TARGET, path)
        assert path.read_bytes() == before
    pair(SOURCE, TARGET, tmp_path / "p.parquet")
    pair(TARGET, TARGET, tmp_path / "p.parquet")
    assert pq.read_table(tmp_path / "p.parquet")["source"].to_pylist()[0] == TARGET.episodes[0].name


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
