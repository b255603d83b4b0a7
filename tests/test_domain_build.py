"""From the table of a domain to what is trained on: which labels are seen, guessed and hidden."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causeway import agreement, domain
from causeway.cache import Crop
from causeway.data import Domain, Moments, Spec
from causeway.datasets import Dataset, Episode
from causeway.errors import ConfigError, DataError
from causeway.labellers import Labeller
from causeway.progress import SAID
from worlds import OTHERS, Worlds

SMALL = domain.Picture(8, 18)


class Drives(Dataset):
    """Its own Config: two drives of 60 moments at 10 Hz; pictures are bright above and dark below."""

    cameras, rate_hz, state_names, action_names = ("front",), 10.0, (), ("steering", "throttle")

    def __init__(self, root: str = "drives"):
        self.root = root
        made = [np.arange(120, dtype=np.float32).reshape(60, 2) + 1000 * i for i in range(2)]
        self.episodes = tuple(
            Episode(str(i), np.arange(60) / 10, np.zeros((60, 0), np.float32), a) for i, a in enumerate(made)
        )

    def build(self) -> "Drives":
        return self

    def decoded(self, episode: int, start: int) -> Iterator[Any]:
        image = np.zeros((1, 16, 24, 3), np.uint8)
        image[:, :8] = 200
        return iter([image] * (60 - start))

    def fingerprint(self) -> str:
        return self.root


class Guesser(Labeller):
    """Its own Config: guesses each row's number, but nothing of every third row's throttle."""

    height, width = 8, 12

    def build(self) -> "Guesser":
        return self

    def label(self, recorded: Moments, demonstrated: Moments, labelled: Moments) -> Any:
        self.seen = recorded, demonstrated, labelled
        guesses = np.repeat(np.arange(len(recorded.frames), dtype=np.float32)[:, None], 2, 1)
        guesses[::3, 1] = np.nan
        return guesses


def build(cache: Path, source: Domain | None = None, **settings: Any) -> Domain:
    table = domain.Config(**{"dataset": Drives(), "block_s": 2.0, "limit": 5} | settings)
    return domain.build("target", table, SMALL, 1, cache, 0, source)


def test_labels_beyond_the_limit_are_hidden(tmp_path: Path) -> None:
    made = build(tmp_path, build(tmp_path))
    assert len(made.labelled) == 5 and made.unlabelled.actions is None and len(made.guessed) == 0
    assert set(made.labelled.rows) < set(made.unlabelled.rows) and len(made.unlabelled) > 20
    assert len(made.tune) and len(made.test)
    assert not set(made.unlabelled.rows) & {*made.tune.rows, *made.test.rows}


def test_only_a_target_that_has_nothing_else_to_be_tested_on_holds_some_back(tmp_path: Path) -> None:
    source = build(tmp_path)
    assert len(source.test) == 0 < len(build(tmp_path, source).test)
    driven = build(tmp_path, source, simulator=Worlds())
    assert len(driven.test) == 0 and driven.unlabelled.rows.tolist() == source.unlabelled.rows.tolist()
    assert len(build(tmp_path, source, test_dataset=Drives("others")).test) == 120


def test_guesses_are_for_training_moments_alone_and_whole(tmp_path: Path) -> None:
    source, guesser = build(tmp_path, limit="all"), Guesser()
    made = build(tmp_path, source, labeller=guesser, crop=Crop(top=0.5))
    guessed = made.guessed
    assert guessed.rows.tolist() == [row for row in made.unlabelled.rows if row % 3]
    assert guessed.actions is not None and guessed.actions[guessed.rows, 0].tolist() == guessed.rows.tolist()
    recorded, demonstrated, labelled = guesser.seen
    assert recorded.actions is None and len(recorded) == 120, "it sees all pictures and no command"
    assert demonstrated is source.labelled and labelled.rows.tolist() == made.labelled.rows.tolist()
    assert recorded.frames.shape[-2:] == (8, 12) and recorded.frames[0, 0, 0, 0, 0] == 200, (
        "its own, uncropped pictures"
    )
    assert made.unlabelled.frames[0, 0, 0, 0, 0] == 0


def test_the_source_has_nobody_to_take_units_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[target\] a labeller works in the target alone"):
        build(tmp_path, labeller=Guesser())


def test_recordings_for_the_test_leave_all_others_for_training(tmp_path: Path) -> None:
    other = Drives("others")
    other.episodes = (other.episodes[1],)
    made = build(tmp_path, test_dataset=other, tune=0.0)
    assert made.unlabelled.rows.tolist() == list(range(120))
    assert made.test.actions is not None and made.test.actions[0].tolist() == [1000, 1001] and len(made.test) == 60


def test_recordings_for_the_test_are_none_of_those_trained_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\[target\] dataset and test_dataset share 2 episodes of drives, such as '0'"):
        build(tmp_path, build(tmp_path), test_dataset=Drives(str(Path("drives").resolve())))
    rest, seen = Drives(), Drives()
    rest.episodes, seen.episodes = rest.episodes[1:], seen.episodes[:1]
    assert len(build(tmp_path, build(tmp_path), dataset=seen, test_dataset=rest).test) == 60, "two parts of one folder"


def test_pictures_under_another_name_are_none_of_those_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = domain.Config(dataset=Drives(), test_dataset=Drives("copied"))
    for decode, told in ((False, False), (True, True)):  # blank pictures are all the same
        domain.build("target", asked, SMALL, 1, tmp_path, 0, build(tmp_path), decode=decode, demonstrated=False)
        assert ("120 of 120 test pictures are all but the same" in capsys.readouterr().err) == told


@pytest.mark.parametrize("blind", [False, True])
def test_a_target_with_nothing_to_test_on_is_refused(blind: bool, tmp_path: Path) -> None:
    other = Drives("others")
    if blind:
        other.episodes = tuple(replace(episode, actions=None) for episode in other.episodes)
    settings = {"test_dataset": other} if blind else {"held_out": 0.0}
    with pytest.raises(DataError, match=r"\[target\] there is nothing to test on: it needs a simulator, or recordings"):
        build(tmp_path, build(tmp_path), **settings)
    assert build(tmp_path, build(tmp_path), **settings, simulator=Worlds()).simulator is not None
    build(tmp_path, **settings)  # a source is not tested


def test_without_decoding_all_is_the_same_but_pictures_and_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = build(tmp_path)
    whole = build(tmp_path, source, labeller=Guesser())
    monkeypatch.setattr(Drives, "decoded", lambda *_: pytest.fail("decoded"))
    settings = domain.Config(dataset=Drives("unseen"), block_s=2.0, limit=5, labeller=Guesser())
    blank = domain.build("target", settings, SMALL, 1, tmp_path, 0, source, decode=False)
    assert blank.spec == whole.spec and len(whole.guessed) and whole.guessed.actions is not None
    assert blank.guessed.rows.tolist() == whole.unlabelled.rows.tolist() and blank.guessed.actions is None
    for part in ("labelled", "unlabelled", "tune", "test"):
        assert getattr(blank, part).rows.tolist() == getattr(whole, part).rows.tolist()


def test_recordings_for_the_test_must_be_of_the_same_kind(tmp_path: Path) -> None:
    other = Drives("others")
    other.action_names = ("steering", "brake")
    with pytest.raises(DataError, match=r"\[target\] the two datasets differ in actions"):
        build(tmp_path, test_dataset=other)


def test_a_domain_remembers_its_simulator_crop_and_cache(tmp_path: Path) -> None:
    world, crop = Worlds(), Crop(top=0.25)
    made = build(tmp_path, simulator=world, crop=crop)
    assert (made.simulator, made.crop, made.cache) == (world, crop, tmp_path) and not world.open


@pytest.mark.parametrize(("names", "sentence"), OTHERS)
def test_a_simulator_must_show_and_ask_what_the_recordings_do(
    names: dict[str, tuple[str, ...]], sentence: str, tmp_path: Path
) -> None:
    world = Worlds(**names)
    with pytest.raises(DataError, match=sentence):
        build(tmp_path, simulator=world)
    assert not world.open


def test_cameras_go_together_by_place_and_the_same_names_elsewhere_are_a_slip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = build(tmp_path).unlabelled
    assert recorded.cameras == ("front",)
    recorded = replace(recorded, cameras=("front", "hand"), frames=np.concatenate([recorded.frames] * 2, 1))
    spec, names = recorded.spec, agreement.names_of(recorded)
    for cameras in (("front", "hand"), ("left", "right"), ("hand", "left")):
        agreement.refuse_other_kind("here", recorded, replace(recorded, cameras=cameras))
        agreement.refuse_other_world(Worlds(cameras=cameras), spec, names)
        agreement.refuse_other_policy(spec, names, replace(recorded, cameras=cameras))
    said = "The cameras of the policy and the dataset have other names, and go together by place: front with left, hand"
    assert said in capsys.readouterr().err
    lone = replace(recorded, cameras=("front",), frames=recorded.frames[:, :1])
    with pytest.raises(
        DataError, match=r"differ in cameras: front, hand and front\. .* setting cameras of the dataset"
    ):
        agreement.refuse_other_kind("here", recorded, lone)
    with pytest.raises(DataError, match="same cameras in another order: front, hand and hand, front"):
        agreement.refuse_other_kind("here", recorded, replace(recorded, cameras=("hand", "front")))
    with pytest.raises(DataError, match="recordings and the simulator have the same cameras in another order"):
        agreement.refuse_other_world(Worlds(cameras=("hand", "front")), spec, names)
    with pytest.raises(DataError, match="policy and the dataset have the same cameras in another order"):
        agreement.refuse_other_policy(spec, names, replace(recorded, cameras=("hand", "front")))
    forgotten = names._replace(cameras=())  # by parts of before
    agreement.refuse_other_policy(spec, forgotten, replace(recorded, cameras=("hand", "front")))


def test_a_simulator_must_be_as_fast_as_the_recordings_where_actions_are_chained(tmp_path: Path) -> None:
    recorded = build(tmp_path).unlabelled  # at 10 Hz
    spec, names, slow = recorded.spec, agreement.names_of(recorded), Worlds()
    slow.rate_hz = 5.0
    agreement.refuse_other_world(slow, spec, names, 10.0)
    hurried = replace(recorded, time_s=recorded.time_s / 2)
    agreement.refuse_other_policy(spec, names, hurried, 10.0)
    for chained in ({"horizon": 4}, {"history": 2}):
        spec, other = (replace(each, **chained).spec for each in (recorded, hurried))
        with pytest.raises(DataError, match=r"in the recordings \(10 Hz\) and .* in the simulator \(5 Hz\)"):
            agreement.refuse_other_world(slow, spec, names, 10.0)
        with pytest.raises(DataError, match=r"in the policy \(10 Hz\) and .* in the dataset \(20 Hz\)"):
            agreement.refuse_other_policy(other, names, replace(hurried, **chained), 10.0)
        agreement.refuse_other_world(Worlds(), spec, names, 10.0)
        agreement.refuse_other_world(slow, spec, names)
        agreement.refuse_other_policy(spec, names, replace(recorded, **chained), 10.0)


@pytest.mark.parametrize("share", [{"tune": -0.1}, {"held_out": 1.0}, {"tune": 0.5, "held_out": 0.5}])
def test_shares_must_leave_something_to_train_on(share: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must leave something to train on"):
        domain.Config(**share)  # type: ignore[arg-type]


def test_a_policy_is_scored_on_its_own_shapes_and_names_alone(tmp_path: Path) -> None:
    recorded, names = build(tmp_path).unlabelled, agreement.Names((), ("steering", "throttle"))
    agreement.refuse_other_policy(recorded.spec, names, recorded)
    for shape in Spec._fields:
        theirs = getattr(recorded.spec, shape)
        with pytest.raises(DataError, match=f"trained for {shape} 77, the dataset has {theirs}"):
            agreement.refuse_other_policy(recorded.spec._replace(**{shape: 77}), names, recorded)
    with pytest.raises(DataError, match=r"trained for actions throttle, steering, the dataset has steering, thr"):
        agreement.refuse_other_policy(recorded.spec, agreement.Names((), ("throttle", "steering")), recorded)
    with pytest.raises(DataError, match=r"trained for state speed, the dataset has none\."):
        agreement.refuse_other_policy(recorded.spec, names._replace(state=("speed",)), recorded)


@pytest.mark.parametrize("size", [(7, 96), (64, 7), (0, 0)])
def test_a_picture_is_large_enough_to_show_something(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=f"must be 8 pixels or more, not {size[0]} and {size[1]}"):
        domain.Picture(*size)
    assert domain.Picture(8, 8)


def test_a_chunk_longer_than_every_episode_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drives = Drives()
    for horizon, told in ((60, False), (61, True)):
        SAID.clear()
        domain.build("source", domain.Config(dataset=drives), SMALL, horizon, tmp_path, 0)
        said = "[source] horizon = 61 is longer than any episode, of 60 moments at most: actions repeat."
        assert (said in capsys.readouterr().err) == told


@pytest.mark.parametrize("what", ["state", "actions"])
def test_what_looks_like_other_units_is_told_and_taken(
    what: str, tmp_path: Path, moments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = replace(moments(20, state=1), action_names=("steering", "throttle"))
    numbers = np.arange(20, dtype=np.float32)[:, None] * np.ones((1, 1 if what == "state" else 2), np.float32)
    source, far, near = (
        Domain(name, *[replace(ours, **{what: scale * numbers})] * 5)
        for name, scale in (("source", 1), ("target", 180), ("target", 30))
    )
    name = "state_0" if what == "state" else "steering"
    for target, told in ((near, False), (far, True)):
        SAID.clear()
        agreement.refuse_mismatch(source, target, 1)
        said = f"{name} spreads 180 times more in the target: are its units the same? They are taken as they are."
        assert (said in capsys.readouterr().err) == told
