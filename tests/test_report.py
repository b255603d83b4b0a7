"""The report page: what it says, what it shows, and how it looks in a real browser."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from causeway import clouds, evaluate, film, findings, report, study
from causeway.actions import direct
from causeway.agent import Agent
from causeway.bridges import identity
from causeway.data import Moments, Spec
from causeway.datasets import Episode
from causeway.evaluate import Measure
from causeway.metrics import Trace, correlation, mae
from causeway.monitors import none
from causeway.pictures import gauged
from causeway.policies import cnn
from causeway.recorder import Recorder, Recording
from causeway.simulators import lanes
from causeway.study import Row, Study

METRICS = {"correlation": correlation.Config().build(), "mae": mae.Config().build()}
EXPERIMENT = """
title = "A <small> study"
seeds = [0, 1]
baseline = "plain"
picture = { height = 32, width = 48 }
method = { name = "imitation", batch = 8, policy = { name = "cnn", channels = [8, 8], bottleneck = 8, hidden = 8 } }
train = { steps = 4, log_every = 1, checks = 2 }
evaluate = { stretch_s = 2.0 }
[source]
dataset = { name = "lerobot", root = "{data}/source" }
block_s = 1.0
[target]
dataset = { name = "lerobot", root = "{data}/target" }
block_s = 1.0
[sweep]
"target.limit" = [0, 4]
[arms.plain]
method.target_weight = 0.0
sweep = { "target.limit" = [0] }
[arms.together]
[arms.coral]
method.alignment = { name = "coral" }
sweep = { "target.limit" = [4] }
"""


def record(folder: Path, tint: int) -> None:
    """Drives in which a bright bar stands where to steer."""
    rng = np.random.default_rng(tint)
    with Recorder(folder, Recording(("front",), 10, ("speed",), ("steering", "throttle"), "image")) as recorder:
        for number in range(3):
            steer = np.sin(np.arange(60) / 7 + number).astype(np.float32)
            frames = rng.integers(0, 60, (60, 1, 32, 48, 3)).astype(np.uint8) + np.uint8(tint)
            for frame, at in zip(frames, ((steer + 1) * 21).astype(int)):
                frame[0, :, at : at + 5] = 220
            actions = np.stack([steer, np.full(60, 0.5, np.float32)], 1)
            recorder.add(Episode(str(number), np.arange(60) / 10, np.zeros((60, 1), np.float32), actions), list(frames))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of eight runs, of which one is not done and one holds an episode that crashed."""
    folder = tmp_path_factory.mktemp("study")
    for name, tint in (("source", 0), ("target", 120)):
        record(folder / "data" / name, tint)
    (folder / "tiny.toml").write_text(EXPERIMENT)
    planned = study.plan(folder / "tiny.toml", folder / "runs", (), folder / "data")
    study.carry_out(planned)
    runs = {p.run.folder.name: p.run for p in planned.runs}
    (runs["coral-limit=4-s1"].folder / "target.npz").unlink()
    broken = runs["together-limit=4-s0"]
    crash = Trace("9@0s", np.zeros((0, 2), np.float32), error="OSError: the camera <fell> off")
    evaluate.save(broken.folder / "target.npz", [*broken.traces, crash])
    return planned


@pytest.fixture(scope="module")
def page(done: Study) -> Path:
    path = done.folder / "report.html"
    report.write(done, study.table(done, METRICS), path)
    return path


def test_the_page_names_every_arm_and_what_is_missing(page: Path, done: Study) -> None:
    text = page.read_text()
    for arm in ("plain", "together", "coral"):
        assert f"</span>{arm}" in text
    lead = re.search(r'<p class="lead"[^>]*>(.*?)</p>', text)
    assert lead and "plain" in lead[1] and re.search("better|worse|No difference shown", lead[1])
    assert "7 of 8 runs done" in text and "coral-limit=4-s1" in text
    assert "1 episode crashed" in text and "the camera &lt;fell&gt; off" in text
    assert "A &lt;small&gt; study" in text
    for words in ("target.limit", "tune/target", "alignment", "correlation", "told_apart", "linear probe", "[method]"):
        assert (words in text) == (words != "told_apart")


def test_the_page_holds_its_pictures_and_needs_no_network(page: Path) -> None:
    text = page.read_text()
    shown = re.sub(r"<pre.*?</pre>|<code.*?</code>", "", text, flags=re.DOTALL)
    assert not re.findall(r"https?://|@import|<link[^>]*stylesheet|<script[^>]*src", shown)
    assert all(found.startswith(("data:", "#")) for found in re.findall(r'(?:src|href|poster)="([^"]{0,20})', shown))
    assert text.count("data:video/mp4;base64,") == 2
    assert text.count("data:image/jpeg;base64,") >= 16 + 2
    assert not re.findall(r"<img(?![^>]* alt=\"[^\"]+\")", text)
    assert len(text) < 3_000_000


def test_a_study_without_a_number_still_has_a_page(done: Study, tmp_path: Path) -> None:
    silent = replace(
        done, runs=tuple(p for p in done.runs if p.run.folder.name == "coral-limit=4-s1"), baseline="coral"
    )
    report.write(silent, [], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Nothing is measured yet." in text and "0 of 1 runs done" in text


# --- what the rows say ---------------------------------------------------------------------------------------------


def row(arm: str, value: float, against: tuple[float, float, float] | None = None, **changes: Any) -> Row:
    found = Measure(*against) if against else None
    said = study.verdict(found, changes.get("direction", "higher"))
    whole = Row(arm, "", "success", 1, "higher", "", 3, 30, 0, Measure(value, value - 0.1, value + 0.1), found, said)
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
    assert "Only the baseline plain is measured so far." in headline(base)
    assert "nothing is paired" in headline(base, row("coral", 0.8))
    assert "Nothing is measured yet." in headline()


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


def test_the_context_warns_of_few_seeds_and_of_a_runner_up() -> None:
    blank: Any = Study("", "", (0,), "plain", (), Path())
    rows = [row("plain", 0.5), row("a", 0.8, (0.3, 0.1, 0.5), seeds=1), row("b", 0.75, (0.2, 0.1, 0.3), seeds=1)]
    said = " ".join(findings.context(blank, rows, findings.Finding("success", "", rows[1], rows[0])))
    assert "one seed only" in said and "a and b overlap" in said and "2 better" in said
    apart = [rows[0], rows[1]._replace(seeds=3), rows[2]._replace(measure=Measure(0.6, 0.5, 0.65))]
    said = " ".join(findings.context(blank, apart, findings.Finding("success", "", apart[1], apart[0])))
    assert "seed" not in said and "overlap" not in said


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
    image = np.asarray(gauged(Image.new("RGB", (480, 100)), "steering", 0.5, -0.5, "1.0 s")).astype(int)
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


def test_a_clip_and_the_failures_of_a_driven_agent() -> None:
    world = lanes.Config(limit_s=0.5, cars=0, oncoming=0, cones=0)
    policy = cnn.Config(channels=(8, 8), bottleneck=8, hidden=8).build(Spec(1, 32, 48, 1, 1, 2))
    agent = Agent(policy, identity.Config().build(), direct.Config().build(), none.Config().build())
    clip = film.driven(agent, world, 7, (32, 48), None)
    assert clip.film.startswith("data:video/mp4") and clip.words == "episode 7, ended: timeout"
    traces = evaluate.drive(agent, world, evaluate.Evaluation(2, 7), (32, 48))
    stills = film.endings(traces, world)
    assert [still.words.split(",")[0] for still in stills] == [f"seed {s}: timeout after 0.5 s" for s in (7, 8)]
    assert "taken through again" not in stills[0].words


# --- in a browser --------------------------------------------------------------------------------------------------

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine: nobody has looked at the page")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "light"), (390, "dark")])
def test_the_page_looks_right(browser: Any, page: Path, tmp_path: Path, width: int, scheme: str) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url[:60]))
    tab.goto(page.as_uri())
    tab.wait_for_function("[...document.querySelectorAll('video')].every(video => video.readyState > 0 || video.error)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width  # before a screenshot stretches the window
    tab.screenshot(path=tmp_path / "page.png", full_page=True)
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L")).astype(float)
    assert pixels.std() > 10
    assert (pixels[:60, :8].mean() < 60) == (scheme == "dark")
    assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert tab.evaluate("[...document.querySelectorAll('video')].every(video => video.duration > 0 && !video.error)")
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked), asked
    assert not said, said
    tab.close()


@pytest.mark.browser
def test_a_heading_sorts_the_table(browser: Any, page: Path) -> None:
    tab = browser.new_page(viewport={"width": 1280, "height": 844})
    tab.goto(page.as_uri())
    tab.get_by_role("button", name="value [95 %]").click()
    cells = "document.querySelectorAll('.sortable tbody td[data-value]:nth-child(4)')"
    values = tab.evaluate(f"[...{cells}].map(cell => Number(cell.dataset.value))")
    assert len(values) > 4 and values == sorted(values)
    tab.close()
