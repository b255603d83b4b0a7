"""The gap as a policy has it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from causeway import acting, cli_gap, study
from causeway.agent import Agent
from causeway.data import Moments
from causeway.datasets import Episode
from causeway.errors import ConfigError, DataError
from causeway.halves import Halves
from causeway.recorder import Recorder, Recording
from test_gap_command import readings
from test_run import file, recordings  # noqa: F401
from test_run_bridges import STUDY, TAKEN, of


def test_the_distance_of_actions_is_wassersteins() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(800, 2)), rng.normal(size=(500, 2)) * [1, 2] + [0.5, 0]
    expected = np.mean([stats.wasserstein_distance(a[:, k], b[:, k]) for k in range(2)])
    assert acting.wasserstein(a, b) == pytest.approx(expected, rel=0.05)
    assert acting.wasserstein(a, a + np.array([1, 3])) == pytest.approx(2)


class Bright(Agent):
    """Steers by the brightness of the picture, twice as much as recorded."""

    def __init__(self, spec: object) -> None:
        self.policy = type("P", (), {"spec": spec})()

    def plan(self, images: torch.Tensor, state: torch.Tensor, points: torch.Tensor | None = None) -> np.ndarray:
        return images.float().mean((1, 2, 3, 4)).numpy()[:, None, None] / 255


def test_what_redrawing_changes_of_what_it_does(moments: Callable[..., Moments]) -> None:
    def painted(seed: int, level: int) -> Moments:
        made = moments(40, seed=seed)
        frames = np.full_like(made.frames, level)
        actions = np.full((len(frames), 1), level / 255 + 0.1, np.float32)
        return replace(made, frames=frames, actions=actions, action_names=("steering",))

    ours, theirs = painted(0, 51), painted(1, 153)
    redrawn = np.full_like(ours.frames[ours.rows], 102)
    halves = Halves(ours, theirs, 0.5, 10)
    found = {each.name: each for each in acting.readings(Bright(ours.spec), ours, theirs, redrawn, halves)}
    values = {name: round(each.value, 4) for name, each in found.items()}
    assert values == {
        "policy_before": 0.4,
        "policy_floor": 0.0,
        "policy": 0.2,
        "policy_closed": 50.0,
        "policy_changed": 0.2,
        "policy_error_before": 0.1,
        "policy_error": 0.1,
    }
    plain = {each.name for each in acting.readings(Bright(ours.spec), ours.hidden(), theirs, None, halves)}
    assert plain == {"policy_before", "policy_floor"}


def test_the_command_asks_a_run(
    file: Path,  # noqa: F811
    tmp_path: Path,
    recordings: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_text(STUDY + TAKEN)
    planned = study.plan(file, tmp_path / "s", (), recordings, tmp_path / "cache")
    study.carry_out(planned, arms=["plain", "painted", "behind"])
    plain, painted, behind = (of(planned, arm).folder for arm in ("plain", "painted", "behind"))
    sides = recordings / "source", recordings / "target"
    quick = ["gap.resamples=10", "gap.stretch_s=0.5"]
    cli_gap.gap(*sides, quick, through=painted, policy=plain, folder=tmp_path / "out")
    assert {"policy_changed", "policy_error", "policy", "cmmd_closed"} <= set(readings(tmp_path / "out"))
    cli_gap.gap(*sides, quick, through=painted, policy=behind, folder=tmp_path / "behind")
    assert readings(tmp_path / "behind") == readings(tmp_path / "out"), "what redraws its own camera has no part in it"
    assert "was trained on pictures cut by" not in capsys.readouterr().err
    cli_gap.gap(*sides, ["b.crop.top=0.25", *quick], policy=plain, folder=tmp_path / "cut")
    assert f"{plain} was trained on pictures cut by Crop(top=0.0" in capsys.readouterr().err
    assert "What the policy would do" in (tmp_path / "out" / "gap.html").read_text()
    with pytest.raises(ConfigError, match=r"pictures have one size, but the runs were made for .* 48x32"):
        cli_gap.gap(*sides, ["picture.height=40", *quick], policy=plain, folder=tmp_path / "out")
    other = tmp_path / "other"
    with Recorder(other, Recording(("front",), 10, ("speed",), ("steering",))) as recorder:
        pictures = np.zeros((20, 1, 32, 48, 3), np.uint8)
        recorder.add(
            Episode("0", np.arange(20) / 10, np.zeros((20, 1), np.float32), np.zeros((20, 1), np.float32)), pictures
        )
    with pytest.raises(DataError, match="The policy was trained for state none, the dataset has speed"):
        cli_gap.gap(sides[0], other, quick, policy=plain, folder=tmp_path / "out")
    with pytest.raises(ConfigError, match="which cannot drive"):
        cli_gap.gap(*sides, quick, policy=painted, folder=tmp_path / "out")
