"""What the report says of rows, draws of features and films, and the colours it draws with."""

import math
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from causeway import clouds, driving, evaluate, film, findings, plots, report, results
from causeway.actions import direct
from causeway.agent import Agent
from causeway.bridges import identity
from causeway.data import Moments, Spec
from causeway.datasets import donkey, lerobot
from causeway.domain import Config as Side
from causeway.domain import Picture
from causeway.evaluate import Measure
from causeway.metrics import Trace
from causeway.monitors import none
from causeway.pictures import gauged
from causeway.policies import cnn
from causeway.results import Row
from causeway.simulators import lanes
from causeway.study import Study

# --- what the rows say ---------------------------------------------------------------------------------------------


def row(arm: str, value: float, against: tuple[float, float, float] | None = None, **changes: Any) -> Row:
    found = Measure(*against) if against else None
    said = results.verdict(found, changes.get("direction", "higher"))
    measured = Measure(value, value - 0.1, value + 0.1)
    whole = Row(arm, "", "success", 1, "higher", "", 3, 30, 0, measured, found, said, (value,) * 3)
    return whole._replace(**changes)


def headline(*rows: Row) -> str:
    blank: Any = replace(Study("", "", (0,), "plain", (), Path()))
    planned = [type("P", (), {"label": point, "point": (), "arm": "plain"}) for point in {r.point for r in rows}]
    blank = replace(blank, runs=tuple(planned))
    lead, numbers = findings.headline(blank, findings.find(blank, rows))
    return re.sub("<.*?>", "", f"{lead} {numbers}")


def test_the_headline_says_better_worse_or_nothing() -> None:
    base = row("plain", 0.5)
    assert "coral is better than plain on the target. Success 0.800 against 0.500: a difference of +0.300" in headline(
        base, row("coral", 0.8, (0.3, 0.1, 0.5)), row("other", 0.6, (0.1, 0.05, 0.2))
    )
    assert "No difference shown between coral" in headline(base, row("coral", 0.6, (0.1, -0.1, 0.3)))
    assert "No arm beats plain: the best of the others, coral, is worse." in headline(
        base, row("coral", 0.2, (-0.3, -0.5, -0.1))
    )
    assert "coral is better than plain" in headline(
        base, row("coral", 0.7, (0.2, 0.1, 0.3)), row("wild", 0.8, (0.3, -0.4, 0.9))
    ), "what is shown goes before what only looks better"
    assert "Only the baseline plain is measured so far." in headline(base)
    assert "nothing is paired" in headline(base, row("coral", 0.8))
    assert "Nothing is measured yet." in headline()
    few = headline(base, row("coral", 0.8, (0.3, math.nan, math.nan)))
    assert "Too little was tested to tell coral, the best other arm, from the baseline plain." in few
    assert "+0.300, too few episodes or stretches for an interval." in few and "nan" not in few


def test_a_study_may_say_what_is_read_first() -> None:
    rows = [row("plain", 0.5), row("plain", 0.5, metric="uncovered"), row("plain", 0.5, metric="mae")]
    for first, wanted in (("", "success"), ("uncovered", "uncovered"), ("completion", "success")):
        study: Any = Study("", "", (0,), "plain", (), Path(), headline=first)
        study = replace(study, runs=(type("P", (), {"label": "", "point": (), "arm": "plain"}),))
        found = findings.find(study, rows)
        assert found and found.metric == wanted, "what was not measured cannot be first"


def test_lower_is_better_where_the_metric_says_so() -> None:
    kind = {"metric": "mae", "direction": "lower"}
    found = headline(
        row("plain", 0.5, **kind), row("a", 0.4, (-0.1, -0.2, -0.05), **kind), row("b", 0.9, (0.4, 0.3, 0.5), **kind)
    )
    assert "a is better than plain" in found and "difference of −0.100" in found


def test_the_context_says_when_another_metric_disagrees() -> None:
    blank: Any = Study("", "", (0,), "plain", (), Path())
    best, base = row("a", 0.8, (0.3, 0.1, 0.5)), row("plain", 0.5)
    for low, words in ((-0.1, "do not all agree on a: mae no difference shown"), (0.1, "agree on a: mae better")):
        other = row("a", 0.8, (0.3, low, 0.5), metric="mae")
        said = " ".join(findings.context(blank, [base, best, other], findings.Finding("success", "", best, base)))
        assert f"The other metrics {words}." in said
    few = [base, *(row("a", 0.8, (0.3, math.nan, math.nan), metric=name) for name in ("success", "mae"))]
    said = " ".join(findings.context(blank, few, findings.Finding("success", "", few[1], base)))
    assert "Of 1 arm compared with plain: 1 too few to tell." in said and "agree" not in said
    assert "The other metrics say of a: mae too few to tell." in said


def test_the_context_warns_of_few_seeds_and_of_a_runner_up() -> None:
    blank: Any = Study("", "", (0,), "plain", (), Path())
    rows = [row("plain", 0.5), row("a", 0.8, (0.3, 0.1, 0.5), seeds=1), row("b", 0.75, (0.2, 0.1, 0.3), seeds=1)]
    said = " ".join(findings.context(blank, rows, findings.Finding("success", "", rows[1], rows[0])))
    assert "one seed only" in said and "a and b overlap" in said and "2 better" in said
    apart = [rows[0], rows[1]._replace(seeds=3), rows[2]._replace(measure=Measure(0.6, 0.5, 0.65))]
    said = " ".join(findings.context(blank, apart, findings.Finding("success", "", apart[1], apart[0])))
    assert "seed" not in said and "overlap" not in said


def test_the_context_says_when_the_gap_is_opened_and_when_pictures_do_not_compare() -> None:
    def measured(arm: str, height: int) -> Any:
        experiment = type("E", (), {"picture": Picture(height, 2 * height)})
        run = type("R", (), {"measured": True, "experiment": experiment})
        return type("P", (), {"arm": arm, "run": run})

    def said(value: float, height: int) -> str:
        runs = (measured("plain", 64), measured("a", height), measured("b", height))
        rows = [row(arm, value, (0.3, 0.1, 0.5), metric="cmmd_closed") for arm in ("plain", "a")]
        blank: Any = Study("", "", (0,), "plain", runs, Path())
        return " ".join(findings.context(blank, rows, findings.Finding("cmmd_closed", "", rows[1], rows[0])))

    assert "Even a opens the gap: its cmmd_closed is below 0." in said(-0.2, 64)
    assert "opens" not in said(-0.05, 64), "its interval reaches above 0"
    assert "which do not compare: plain 64 x 128; a, b 32 x 64." in said(0.5, 32) and "compare:" not in said(0.5, 64)


def planned(arm: str, seed: int, error: str = "", tested: bool = False) -> Any:
    experiment = type("E", (), {"seed": seed})
    run = type("R", (), {"error": error, "tested": tested, "folder": Path("none"), "experiment": experiment})
    return type("P", (), {"arm": arm, "label": "limit=4", "run": run})


def test_an_arm_that_failed_says_why() -> None:
    broken = "FloatingPointError: step 3: loss is nan\n\nTraceback ..."
    blank = replace(
        Study("", "", (0, 1), "plain", (), Path()),
        runs=(planned("plain", 0, tested=True), planned("plain", 1, "an old tale", tested=True),
              planned("hot", 0, broken), planned("hot", 1, broken), planned("late", 0)),
    )  # fmt: skip
    why = "FloatingPointError: step 3: loss is nan"
    assert findings.failures(blank) == [f"hot at limit=4 failed in 2 of 2 seeds: {why}"]
    silent = report._silent(blank, [], [row("plain", 0.5, point="limit=4")], ["plain", "late", "hot"])
    assert silent == [("late", "limit=4", "no number: not run yet"), ("hot", "limit=4", f"failed: {why}")]


@pytest.mark.parametrize(("low", "high"), [(-0.42, 0.93), (0.3, 0.32), (0.5, 0.5), (math.nan, math.nan)])
def test_the_axis_of_a_forest_plot_has_ticks_around_all_it_shows(low: float, high: float) -> None:
    blank = replace(Study("", "", (0,), "plain", (), Path()), runs=(planned("plain", 0),))
    middle = 0.31 if math.isnan(low) else (low + high) / 2
    forest = findings.forest(blank, [row("plain", 0, measure=Measure(middle, low, high))], "")
    line, places = forest.lines[0], [place for place, _ in forest.ticks]
    assert 0 <= places[0] <= line.low <= line.value <= line.high <= places[-1] <= 100
    assert len(places) >= 3
    numbers = [float(label.replace("−", "-")) for _, label in forest.ticks]
    assert min(numbers) <= middle <= max(numbers) and (not low < 0 or min(numbers) < low)


# --- colours ---------------------------------------------------------------------------------------------------------

SEEN_BY = {  # Machado et al. 2009, severity 1, on linear light
    "most": np.eye(3),
    "deuteranopes": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopes": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "tritanopes": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}


def linear(colour: str) -> Any:
    value = np.array(ImageColor.getrgb(colour)) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def apart(one: str, other: str, eye: str) -> float:
    """The distance of two colours in CIELAB."""
    to_xyz = np.array([[0.4339, 0.3762, 0.1899], [0.2127, 0.7152, 0.0722], [0.0178, 0.1095, 0.8730]])
    x, y, z = np.cbrt(np.stack([to_xyz @ np.clip(SEEN_BY[eye] @ linear(c), 0.01, 1) for c in (one, other)], 1))
    return float(np.linalg.norm([116 * np.diff(y), 500 * np.diff(x - y), 200 * np.diff(y - z)]))


@pytest.mark.parametrize(("mode", "paper"), [(0, "#ffffff"), (1, "#191c21")])
def test_domains_have_colours_that_no_arm_has_and_everybody_sees(mode: int, paper: str) -> None:
    colours = {name: pair[mode] for name, pair in plots.PALETTE.items()}
    arms = [colours[plots.colour(arm)] for arm in range(plots.COLOURS + 1)]
    for side, arm in product(("source", "target"), arms):
        assert apart(colours[side], arm, "most") > 35
    assert all(apart(colours["source"], colours["target"], eye) > 35 for eye in SEEN_BY)
    assert all(contrast(colour, paper) > 3 for colour in (colours["source"], colours["target"], *arms))


def test_every_figure_draws_domains_and_arms_in_their_own_colours() -> None:
    cloud = np.random.default_rng(0).normal(size=(9, 2))
    used = {
        "domains": plots.scatter(cloud, cloud, "a"),
        "arms": plots.learning("loss", [plots.Curve(i, [0, 1], [0.0, 1.0]) for i in range(3)], ["plain", "a", "b"]),
    }
    named = {what: set(re.findall(r"var\(--(source|target|base|arm\d)\)", svg)) for what, svg in used.items()}
    assert named == {"domains": {"source", "target"}, "arms": {"base", "arm0", "arm1"}}


# --- features and films --------------------------------------------------------------------------------------------


def test_the_probe_tells_apart_what_is_apart_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    here, there = rng.normal(size=(2, 300, 8))
    assert clouds.probe(here, there + np.eye(8)[0] * 8) > 0.99
    assert 0.4 < clouds.probe(here, there) < 0.6
    assert 0.4 < clouds.probe(here, there[:60]) < 0.6  # one side smaller must not make it guess the larger


def test_the_projection_keeps_the_widest_directions() -> None:
    rng = np.random.default_rng(0)
    flat = np.repeat(rng.normal(size=(200, 1)), 5, 1) + 0.1 * rng.normal(size=(200, 5))
    seen = clouds.project(flat)
    assert seen.shape == (200, 2) and seen[:, 0].std() > 10 * seen[:, 1].std()


def test_the_strip_shows_guess_and_truth_on_their_sides() -> None:
    image = np.asarray(gauged(Image.new("RGB", (480, 100)), "steering", 0.5, -0.5, "1.0 s", "#ff9000")).astype(int)
    bar = image[40:54]
    orange = np.argwhere((bar[..., 0] > 200) & (bar[..., 2] < 100))[:, 1]
    white = np.argwhere((bar > 200).all(-1))[:, 1]
    assert orange.min() >= 239 and abs(orange.max() - (240 + 0.5 * 224)) < 4
    assert abs(white.mean() - (240 - 0.5 * 224)) < 4


def test_a_clip_of_a_recording_is_uninterrupted_and_as_long_as_can_be() -> None:
    rows = np.concatenate([np.arange(0, 400), np.arange(600, 700)])  # 40 s and, after a hole, 10 s
    whole = Moments(
        np.zeros((700, 1, 3, 2, 2), np.uint8), np.zeros((700, 1), np.float32), None, np.zeros(700, np.int64),
        np.arange(700) / 10, rows,
    )  # fmt: skip
    for start, first, last in ((100, 100, 249), (390, 250, 399), (450, 400, 499)):
        chosen = film.window(whole, start)
        assert abs(chosen[0] - first) <= 1 and abs(chosen[-1] - last) <= 1


def test_a_clip_and_the_failures_of_a_driven_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    world = lanes.Config(limit_s=0.5, cars=0, oncoming=0, cones=0)
    policy = cnn.Config(channels=(8, 8), bottleneck=8).build(Spec(1, 32, 48, 1, 1, 2))
    agent = Agent(policy, identity.Config().build(), direct.Config().build(), none.Config().build())
    clip = film.driven(agent, world, 7, (32, 48), None, "#ff9000")
    assert clip.film.startswith("data:video/mp4") and clip.words == "episode 7, ended: timeout"
    traces = driving.drive(agent, world, evaluate.Evaluation(2, 7), (32, 48))
    stills = film.endings(traces, world, "#ff9000")
    assert [still.words.split(",")[0] for still in stills] == [f"seed {s}: timeout after 0.5 s" for s in (7, 8)]
    assert "taken through again" not in stills[0].words
    monkeypatch.setattr(film, "SECONDS", 0.2)
    cut = film.driven(agent, world, 7, (32, 48), None, "#ff9000")
    assert cut.words == "episode 7, the clip ends after 0.2 s; the episode went on"


def test_the_colours_of_the_birds_eye_view_are_all_explained() -> None:
    config = lanes.Config(height=16, width=24, cars=2, cones=30)
    worlds = config.build(count=8, seed=0)
    worlds.reset(seed=list(range(8)))
    seen = set()
    for _ in range(12):
        for _ in range(5):
            worlds.step(worlds.expert())
        above = worlds.render()[:, :, 4 * config.width :].reshape(-1, 3)
        seen |= {"#{:02x}{:02x}{:02x}".format(*colour) for colour in np.unique(above, axis=0)}
    assert seen == set(film.seen_from_above(Side(simulator=config)))
    assert film.seen_from_above(Side()) == {}


def test_the_side_of_a_positive_steering_is_said_only_where_it_is_known() -> None:
    assert film.rightward(Side(simulator=lanes.Config()))
    assert film.rightward(Side(dataset=donkey.Config(root="x")))
    assert not film.rightward(Side(dataset=lerobot.Config(root="x")))
    assert not film.rightward(Side(dataset=donkey.Config(root="x"), test_dataset=lerobot.Config(root="y")))


def test_a_stretch_is_found_by_the_name_of_its_recording() -> None:
    named = Moments(
        np.zeros((6, 1, 3, 2, 2), np.uint8), np.zeros((6, 1), np.float32), None, np.repeat([0, 1], 3),
        np.tile(np.arange(3) / 10, 2), np.arange(6), episode_names=("a", "b@home"),
    )  # fmt: skip
    trace = Trace("b@home@0s", np.zeros((3, 1), np.float32), time_s=np.arange(3) / 10)
    assert film.place(named, trace, 1) == 4
