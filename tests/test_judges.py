"""Whether what was redrawn may stay: by what is seen, and by what a policy would do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from torch import Tensor

from causeway import finished, progress
from causeway.agent import Agent
from causeway.agreement import Names
from causeway.data import Moments, Spec
from causeway.encoders import Look, pixels
from causeway.errors import ConfigError, DataError
from causeway.judges import Judge, Likeness, Witness, lost
from causeway.validators import Validator, edges, structure

NAMES = Names(("speed",), ("steering",), ("front",))


class Mean(Validator):
    """How much lighter or darker."""

    def forward(self, before: Look, after: Look) -> Tensor:
        return (after.pictures - before.pictures).mean((1, 2, 3)).abs()


class Lighter(Judge):
    """The same, of which nothing is learned but from neighbours."""

    def changes(self, moments: Moments, after: np.ndarray) -> np.ndarray:
        return np.abs(after.astype(float) - moments.frames[moments.rows]).mean((1, 2, 3, 4)) / 255


class Bright(Agent):
    """Steers by the brightness of what it sees, and by how fast it goes."""

    def __init__(self, spec: Spec, spatial: bool = False) -> None:
        self.policy = type("P", (), {"spec": spec, "spatial": spatial})()
        self.seen: list[tuple[int, ...]] = []

    def plan(self, images: Tensor, state: Tensor, points: Tensor | None = None) -> np.ndarray:
        self.seen.append((*images.shape, *state.shape))
        steering = images.float().mean((1, 2, 3, 4)) * (1 + state.mean(1))
        chunk = steering.numpy()[:, None, None]
        return np.concatenate([chunk, 3 * chunk], 1)  # what it would do later is another


@pytest.fixture
def recorded(moments: Callable[..., Moments]) -> Moments:
    """Two episodes of 40 moments that grow lighter, by a level a moment, the second from where it is brighter."""
    both = moments(80)
    step = (np.arange(80) % 40 + np.repeat([20, 120], 40))[:, None, None, None, None]
    frames = np.broadcast_to(step, both.frames.shape).astype(np.uint8)
    episode, time_s = np.repeat([0, 1], 40), np.tile(np.arange(40) / 10, 2)
    return replace(both, frames=frames, episode=episode, time_s=time_s, state=np.ones((80, 1), np.float32))


def named(recorded: Moments) -> Moments:
    actions = np.zeros((80, 1), np.float32)
    return replace(recorded, state_names=("speed",), actions=actions, action_names=("steering",), cameras=("front",))


def test_as_much_may_change_as_changes_in_half_a_second(recorded: Moments) -> None:
    judge = Likeness(Mean(), pixels.Config().build())
    judge.calibrate(recorded)
    assert judge.most == pytest.approx(5 / 255, rel=1e-3), "half a second is five moments"
    judge.calibrate(replace(recorded, time_s=recorded.time_s * 30))
    assert judge.most == pytest.approx(1 / 255, rel=1e-3), "where moments are 3 s apart, the next one"
    with pytest.raises(DataError, match="moments that follow one another"):
        judge.calibrate(recorded.select(np.array([0, 20])))


def test_a_limit_that_is_told_is_not_learned(recorded: Moments) -> None:
    judge = Likeness(Mean(), pixels.Config().build(), most=2.5 / 255)
    loose = recorded.select(np.array([0, 20]))
    judge.calibrate(loose)  # which could teach it nothing
    after = loose.frames[loose.rows] + np.array([2, 3], np.uint8)[:, None, None, None, None]
    assert judge.lost(loose, after).tolist() == [False, True]
    assert edges.Config(most=0.2).most == 0.2 and edges.Config(0.02).most == 0
    for module in (edges, structure):
        with pytest.raises(ConfigError, match="0 or more, not -1"):
            module.Config(most=-1)


def test_another_version_of_a_validator_judges_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = edges.Config(), pixels.Config(), ""
    word = finished.judges_of(*asked)[1]
    assert finished.judges_of(*asked)[1] == word != finished.judges_of(edges.Config(most=0.3), *asked[1:])[1]
    monkeypatch.setattr(edges.Edges, "version", 9)
    assert finished.judges_of(*asked)[1] != word


def test_the_threshold_is_the_95th_percentile(recorded: Moments) -> None:
    level = np.cumsum(np.arange(40) % 40) // 8 % 200  # ever larger steps
    frames = np.broadcast_to(np.tile(level, 2)[:, None, None, None, None], recorded.frames.shape).astype(np.uint8)
    judge = Lighter("lighter")
    judge.calibrate(replace(recorded, frames=frames))
    steps = np.abs(frames[5:40, 0, 0, 0, 0].astype(float) - frames[:35, 0, 0, 0, 0]) / 255
    assert judge.most == pytest.approx(np.quantile(np.tile(steps, 2), 0.95), rel=0.03)


def test_a_limit_tells_pictures_from_others(
    recorded: Moments, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of loose pictures those half a second apart would teach that everything may change."""
    monkeypatch.setattr(progress, "SAID", set())
    levels = np.random.default_rng(0).permutation(200)[:80] + 20
    loose = np.broadcast_to(levels[:, None, None, None, None], recorded.frames.shape).astype(np.uint8)
    judge, plain = Likeness(Mean(), pixels.Config().build()), Lighter("lighter")
    for each in (judge, plain):
        each.calibrate(replace(recorded, frames=loose))
    differences = np.abs(levels[:, None] - levels)[np.triu_indices(80, 1)] / 255
    assert judge.most == pytest.approx(np.quantile(differences, 0.05), rel=0.6) and judge.most < 0.04
    assert plain.most > 0.5
    said = capsys.readouterr().err
    assert "mean: half a second changes pictures by 0.178" in said and "by the validator's setting most" in said
    judge.calibrate(recorded)
    assert judge.most == pytest.approx(5 / 255, rel=1e-3) and capsys.readouterr().err == "", "a recording"


@pytest.mark.parametrize("history", [1, 3])
def test_a_policy_may_act_otherwise_as_much_as_it_does_half_a_second_later(recorded: Moments, history: int) -> None:
    moments = named(recorded)
    one = moments.spec
    spec = one._replace(cameras=history * one.cameras, state=history, history=history)
    judge = Witness(Bright(spec), NAMES)
    judge.calibrate(replace(moments, history=history))
    assert judge.most == pytest.approx(5 * 2), "five levels, of which it steers twice as much at this state"
    assert judge.agent.seen[0][1] == spec.cameras and judge.agent.seen[0][-1] == history
    few = moments.select(np.arange(4))
    after = few.frames[few.rows] + np.array([4, 6, 0, 6], np.uint8)[:, None, None, None, None]
    assert judge.lost(few, after).tolist() == [False, True, False, True]
    judge.calibrate(moments.hidden())


def test_one_that_says_no_is_enough(recorded: Moments) -> None:
    by_eye, by_act = Likeness(Mean(), pixels.Config().build()), Witness(Bright(named(recorded).spec), NAMES)
    by_eye.most, by_act.most = 2.5 / 255, 9.0
    few = recorded.select(np.arange(3))
    after = few.frames[few.rows] + np.array([1, 3, 5], np.uint8)[:, None, None, None, None]
    assert lost([by_eye], few, after).tolist() == [[False], [True], [True]]
    assert lost([by_eye, by_act], few, after).tolist() == [[False, False], [True, False], [True, True]]


def test_a_witness_of_other_moments_is_refused(recorded: Moments) -> None:
    moments = named(recorded)
    with pytest.raises(DataError, match=r"trained for actions \('throttle',\)|trained for actions throttle"):
        Witness(Bright(moments.spec), Names(("speed",), ("throttle",), ("front",))).calibrate(moments)
    with pytest.raises(DataError, match="trained for width"):
        Witness(Bright(moments.spec._replace(width=7)), NAMES).calibrate(moments)
    nameless = replace(moments.hidden(), action_names=())
    Witness(Bright(moments.spec), NAMES).calibrate(nameless)
    with pytest.raises(ConfigError, match="sees nothing of what is redrawn"):
        Witness(Bright(moments.spec, spatial=True), NAMES)
