"""Splits by time block, few-shot limits, and what two domains must share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from causeway import agreement, config, domain
from causeway.data import Domain, Moments
from causeway.errors import ConfigError, DataError
from causeway.recorder import Recorder, Recording
from recordings import episode, views, write_lerobot
from worlds import Worlds

Make = Callable[..., Moments]


def long(moments: Make, count: int = 1200) -> Moments:
    recorded = moments(60)
    times = np.arange(count) / 10.0
    some = np.zeros(count, np.int64)
    frames = np.repeat(recorded.frames[:1], count, 0)
    state, actions = np.repeat(recorded.state[:1], count, 0), np.repeat(recorded.actions[:1], count, 0)  # type: ignore[index]
    return replace(
        recorded, frames=frames, state=state, actions=actions, episode=some, time_s=times, rows=np.arange(count)
    )


def test_splits_share_no_block_and_no_neighbours(moments: Make) -> None:
    recorded = long(moments)
    train, tune, test = domain.split(recorded, 0.2, 0.2, block_s=10.0)
    assert not set(train.rows) & set(tune.rows) and not set(tune.rows) & set(test.rows)
    blocks = recorded.time_s // 10
    assert not set(blocks[tune.rows]) & set(blocks[train.rows]) and not set(blocks[test.rows]) & set(blocks[tune.rows])
    held = recorded.time_s[np.concatenate([tune.rows, test.rows])]
    assert min(np.abs(recorded.time_s[row] - held).min() for row in train.rows) > domain.GAP_S
    assert len(tune) == 300 and len(test) == 300


def test_a_split_is_the_same_every_time(moments: Make) -> None:
    one, other = (domain.split(long(moments), 0.2, 0.2, 10.0) for _ in range(2))
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(one, other))


def drives(moments: Make) -> Moments:
    """Three drives of 40 s at 4 Hz, times exact in binary, the second with a pause."""
    recorded = long(moments, 480)
    times = np.concatenate([np.arange(160) / 4, np.arange(160) / 4 + 5 * (np.arange(160) > 80), np.arange(160) / 4])
    return replace(recorded, episode=np.repeat(np.arange(3), 160), time_s=times)


def test_training_keeps_exactly_what_is_not_near(moments: Make) -> None:
    recorded = drives(moments)
    train, tune, test = domain.split(recorded, 0.15, 0.15, block_s=5.0)
    held = np.concatenate([tune.rows, test.rows])
    far = [
        row
        for row in range(480)
        if row not in held
        and all(
            recorded.episode[row] != recorded.episode[other]
            or abs(recorded.time_s[row] - recorded.time_s[other]) > domain.GAP_S
            for other in held
        )
    ]
    assert domain.GAP_S == 1.0 and train.rows.tolist() == far


def test_whole_blocks_are_held_out_and_spread(moments: Make) -> None:
    recorded = drives(moments)
    block = recorded.episode * 100 + recorded.time_s // 5
    _, tune, test = domain.split(recorded, 0.15, 0.1, block_s=5.0)
    assert len(np.unique(block)) == 24 + 1  # the pause pushes the second drive into a ninth block
    assert (len(set(block[tune.rows])), len(set(block[test.rows]))) == (4, 3), "rounded up"
    for part in (tune, test):
        assert set(part.rows) == set(np.flatnonzero(np.isin(block, block[part.rows])))
    assert len(set(recorded.episode[np.concatenate([tune.rows, test.rows])])) > 1, "not the first blocks in a row"


def test_nothing_left_between_the_blocks_is_refused(moments: Make) -> None:
    with pytest.raises(DataError, match=r"nothing is left to train on between the blocks of 0\.5 s\. Raise block_s"):
        domain.split(drives(moments).select(np.arange(160)), 0.4, 0.4, block_s=0.5)


def test_too_few_blocks_are_refused(moments: Make) -> None:
    with pytest.raises(DataError, match="2 blocks of 60 s, too few to keep 1 to tune and 1 to test"):
        domain.split(long(moments), 0.2, 0.2, block_s=60.0)


def test_from_when_to_when_moments_reach(moments: Make) -> None:
    recorded = replace(moments(40), episode_names=("a", "b"))  # two episodes of 2 s
    assert domain.spans(recorded.select(np.isin(np.arange(40), [0, 1, 2, 5, 18, 19, 20, 21, 39]))) == {
        "a": [(0.0, pytest.approx(0.2)), (0.5, 0.5), (pytest.approx(1.8), pytest.approx(1.9))],
        "b": [(0.0, pytest.approx(0.1)), (pytest.approx(1.9), pytest.approx(1.9))],
    }
    assert domain.spans(recorded.select(np.zeros(40, bool))) == {}


def test_few_shots_follow_the_seed(moments: Make) -> None:
    train = moments(60)
    a, b, c = (domain.limited(train, 10, seed, "target") for seed in (0, 0, 1))
    assert np.array_equal(a.rows, b.rows) and not np.array_equal(a.rows, c.rows) and len(a) == 10
    assert (np.diff(a.rows) > 0).all() and np.array_equal(domain.limited(train, 60, 0, "target").rows, train.rows)
    assert len(domain.limited(train, "all", 0, "target")) == 60 and len(domain.limited(train, 0, 0, "target")) == 0


def test_a_limit_beyond_the_data_is_refused(moments: Make) -> None:
    with pytest.raises(DataError, match=r"\[target\] limit asks for 61 labelled moments, but training has only 60"):
        domain.limited(moments(60), 61, 0, "target")
    with pytest.raises(DataError, match="nobody demonstrated"):
        domain.limited(moments(60).hidden(), 5, 0, "target")
    assert len(domain.limited(moments(60).hidden(), "all", 0, "target")) == 0


def changed(of: Domain, **changes: object) -> Domain:
    return replace(of, unlabelled=replace(of.unlabelled, **changes))  # type: ignore[arg-type]


def test_domains_must_agree(domains: Callable[..., tuple[Domain, Domain]]) -> None:
    source, target = domains()
    agreement.refuse_mismatch(source, target, horizon=1)
    with pytest.raises(DataError, match="differ in actions"):
        agreement.refuse_mismatch(source, changed(target, action_names=("steering",)), 1)
    with pytest.raises(DataError, match="differ in state"):
        agreement.refuse_mismatch(source, changed(target, state_names=("speed",)), 1)
    with pytest.raises(DataError, match="differ in cameras"):
        two = np.concatenate([target.unlabelled.frames] * 2, axis=1)
        agreement.refuse_mismatch(source, changed(target, frames=two), 1)


def test_rates_must_agree_when_chunks_are_learned(domains: Callable[..., tuple[Domain, Domain]]) -> None:
    source, target = domains()
    fast = changed(target, time_s=target.unlabelled.time_s / 2)
    agreement.refuse_mismatch(source, fast, horizon=1)
    agreement.refuse_mismatch(source, changed(target, time_s=target.unlabelled.time_s / 1.05), horizon=8)
    with pytest.raises(DataError, match=r"lasts 0.80 s in the source \(10 Hz\) and 0.40 s in the target \(20 Hz\)"):
        agreement.refuse_mismatch(source, fast, horizon=8)


def test_a_domain_needs_data() -> None:
    with pytest.raises(ConfigError, match=r"\[source\] needs a dataset"):
        domain.build("source", domain.Config(), domain.Picture(), 1, Path("x"), 0)


def test_an_empty_dataset_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from types import SimpleNamespace

    empty = SimpleNamespace(root="data/none", episodes=(), cameras=("front",))
    with pytest.raises(DataError, match="data/none holds no moments"):
        domain.read("source", empty, domain.Crop(), domain.Picture(), 1, tmp_path)  # type: ignore[arg-type]


def test_only_recordings_that_are_tested_on_lose_a_share_to_the_test(tmp_path: Path) -> None:
    root = str(write_lerobot(tmp_path / "drives", 6))
    dataset = config.component("dataset", {"name": "lerobot", "root": root})
    settings = domain.Config(dataset=dataset, block_s=0.5, tune=0.2, held_out=0.3)

    def build(name: str, settings: domain.Config, source: Domain | None) -> Domain:
        return domain.build(name, settings, domain.Picture(24, 32), 1, tmp_path / "cache", 0, source)

    source = build("source", settings, None)
    target = build("target", settings, source)
    driven = build("target", replace(settings, simulator=Worlds(state_names=("speed",))), source)
    other = config.component("dataset", {"name": "lerobot", "root": str(write_lerobot(tmp_path / "others", 6))})
    elsewhere = build("target", replace(settings, test_dataset=other), source)
    assert len(source.test) == len(driven.test) == 0 < len(target.test) < len(elsewhere.test) == 45
    assert len(source.unlabelled) == len(driven.unlabelled) > len(target.unlabelled)
    with pytest.raises(DataError, match=r"\[target\] dataset and test_dataset share 6 episodes of .*, such as 't0'"):
        build("target", replace(settings, test_dataset=dataset), source)
    with pytest.raises(DataError, match=r"\[target\] there is nothing to test on"):
        build("target", replace(settings, held_out=0.0), source)
    with pytest.raises(DataError, match="differ in actions: steering, throttle and throttle, steering"):
        build(
            "target",
            replace(settings, simulator=Worlds(state_names=("speed",), action_names=("throttle", "steering"))),
            source,
        )


def test_what_is_wrong_shows_without_decoding_a_picture(tmp_path: Path) -> None:
    dataset = config.component("dataset", {"name": "lerobot", "root": str(write_lerobot(tmp_path / "drives", 6))})
    settings = domain.Config(dataset=dataset, block_s=0.5, tune=0.2, limit=500)
    with pytest.raises(DataError, match="limit asks for 500"):
        domain.build("source", settings, domain.Picture(24, 32), 1, tmp_path / "cache", 0, decode=False)
    assert not (tmp_path / "cache").exists()


def test_a_target_that_nobody_demonstrated_takes_its_actions_from_the_source(
    domains: Callable[..., tuple[Domain, Domain]],
) -> None:
    source, target = domains(limit=0)
    blank = {
        name: replace(getattr(target, name), actions=None, action_names=())
        for name in ("labelled", "unlabelled", "tune")
    }
    agreement.refuse_mismatch(source, replace(target, **blank), horizon=1)


def test_recordings_without_actions_make_a_target_and_no_source(tmp_path: Path) -> None:
    drives = write_lerobot(tmp_path / "drives", 6)
    shown = tmp_path / "shown"
    with Recorder(shown, Recording(("front",), 10, ("speed",), (), "image")) as recorder:
        for number in range(6):
            recorder.add(replace(episode(10, number, f"t{number}"), actions=None), views(10))
    seen, driven = (config.component("dataset", {"name": "lerobot", "root": str(root)}) for root in (shown, drives))
    settings = domain.Config(dataset=seen, block_s=0.5, tune=0.2, simulator=Worlds(state_names=("speed",)))

    def build(name: str, settings: domain.Config, source: Domain | None) -> Domain:
        return domain.build(name, settings, domain.Picture(24, 32), 1, tmp_path / "cache", 0, source)

    source = build("source", replace(settings, dataset=driven), None)
    target = build("target", settings, source)
    agreement.refuse_mismatch(source, target, 1)
    assert target.spec == source.spec and not len(target.labelled) and len(target.unlabelled)
    with pytest.raises(DataError, match="has no actions: nothing can be learned from it"):
        build("source", settings, None)


def test_no_chunk_reaches_into_a_block_that_is_held_back(moments: Make) -> None:
    recorded = replace(long(moments), horizon=25)  # 2.5 s at 10 Hz
    train, tune, test = domain.split(recorded, 0.2, 0.2, block_s=10.0)
    held = {*tune.rows, *test.rows}
    assert not any({*range(row, row + 25)} & held for row in train.rows)


def test_test_pictures_that_are_learned_from_are_told(
    moments: Callable[..., Moments], capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = moments(300), moments(40, seed=9)
    agreement.tell_twins("target", train, test)
    assert not capsys.readouterr().err
    frames = test.frames.copy()
    frames[[3, 7]] = train.frames[[290, 11]].clip(1, None) - 1 * (np.arange(48) % 2).astype(np.uint8)  # saved anew
    frames[5] = train.frames[20].clip(4, None) - 4
    agreement.tell_twins("target", train, replace(test, frames=frames))
    assert "[target] 2 of 40 test pictures are all but the same" in capsys.readouterr().err
    agreement.tell_twins("target", train.select(np.arange(100)), replace(test, frames=frames))
    assert "[target] 1 of 40 test pictures" in capsys.readouterr().err, "of those that are learned from"
