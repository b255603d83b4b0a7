"""The report page of a small study: what stands on it, and how it looks in a real browser."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from causeway import config, evaluate, film, findings, report, results, study
from causeway.datasets import Episode
from causeway.metrics import Trace, correlation, mae
from causeway.recorder import Recorder, Recording
from causeway.study import Study

METRICS = {"correlation": correlation.Config().build(), "mae": mae.Config().build()}
EXPERIMENT = """
title = "A <small> study"
seeds = [0, 1]
baseline = "plain"
picture = { height = 32, width = 48 }
method = { name = "imitation", batch = 8, policy = { name = "cnn", channels = [8, 8], bottleneck = 8 } }
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
    """A study of eight runs, of which one failed and one holds an episode whose program failed."""
    folder = tmp_path_factory.mktemp("study")
    for name, tint in (("source", 0), ("target", 120)):
        record(folder / "data" / name, tint)
    (folder / "tiny.toml").write_text(EXPERIMENT)
    planned = study.plan(folder / "tiny.toml", folder / "runs", (), folder / "data")
    study.carry_out(planned)
    runs = {p.run.folder.name: p.run for p in planned.runs}
    (runs["coral-limit=4-s1"].folder / "target.npz").unlink()
    (runs["coral-limit=4-s1"].folder / "error.txt").write_text("DataError: the <disk> is gone\n\nTraceback ...")
    with open(runs["coral-limit=4-s0"].folder / "log.jsonl", "a") as log:
        log.write('{"step": 1, "mystery": 2.0}\n{"step": 2, "mystery": 3.0}\n')
    broken = runs["together-limit=4-s0"]
    crash = Trace("9@0s", np.zeros((0, 2), np.float32), error="OSError: the camera <fell> off")
    evaluate.save(broken.folder / "target.npz", [*broken.traces, crash])
    return planned


@pytest.fixture(scope="module")
def page(done: Study) -> Path:
    path = done.folder / "report.html"
    report.write(done, results.table(done, METRICS)[::-1], path)  # the page has an order of its own
    return path


def test_the_page_names_every_arm_and_what_is_missing(page: Path, done: Study) -> None:
    text = page.read_text()
    for arm in ("plain", "together", "coral"):
        assert f"</span>{arm}" in text
    lead = re.search(r'<p class="lead"[^>]*>(.*?)</p>', text)
    assert lead and "plain" in lead[1] and lead[1].startswith("Too little was tested to tell")
    assert "7 of 8 runs done, 1 failed" in text
    assert "coral at limit=4 failed in 1 of 2 seeds: DataError: the &lt;disk&gt; is gone</li>" in text
    assert "coral-limit=4-s1  failed: DataError: the &lt;disk&gt; is gone\n" in text
    assert "The program failed in 1 episode" in text and "the camera &lt;fell&gt; off" in text
    assert "A &lt;small&gt; study" in text
    assert text.count("? too few to tell") == 12 and "[no interval]" in text and not re.search(r"\bnan\b", text)
    for words in ("target.limit", "tune/target", "alignment", "correlation", "told_apart", "linear probe", "[method]"):
        assert (words in text) == (words != "told_apart")


@pytest.mark.parametrize("action", ["throttle", "steering"])
def test_the_page_draws_the_action_that_it_speaks_of(action: str, done: Study, tmp_path: Path) -> None:
    metrics = config.metrics({"mine": {"name": "mae", "index": action}})
    spoken = replace(done, metrics=metrics, headline="mine")
    report.write(spoken, results.table(spoken, {"mine": metrics["mine"]}), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    other = "steering" if action == "throttle" else "throttle"
    for words in ("Predicted against recorded {}", "The mean absolute error of {} of the median", "Mine of {} on the"):
        assert words.format(action) in text and words.format(other) not in text
    told = text.split("The mean absolute error of")[1].split("</table>")[0]
    for name, index in (("steering", 0), ("throttle", 1)):
        errors = sorted(film.error(trace, index) for trace in film.stretches(done.runs[0].run.traces))
        assert (f">{findings.number(errors[len(errors) // 2])}<" in told) == (name == action)


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
    assert "coral at limit=4 failed: DataError: the &lt;disk&gt; is gone</li>" in text


def test_what_failed_is_called_an_error_and_explained(page: Path) -> None:
    text = page.read_text()
    assert not re.search("crash", text, re.IGNORECASE)
    heads = re.findall(r"<th[^>]*>(?:(?!</th>).)*errors</abbr></th>", text)
    assert heads and all("whose program failed: counted, never scored. A collision is no error." in h for h in heads)


def test_the_table_stands_in_the_order_of_the_chart(page: Path) -> None:
    text = page.read_text()
    chart = re.findall(r'<span class="name">.*?</span>(\w+)', text)
    cells = re.findall(r'<td class="who">.*?</span>(\w+)</td><td data-label="point">([^<]*)</td>', text)
    assert chart == ["plain", "together", "coral"] * 2
    one = [("plain", "limit=0"), ("together", "limit=0"), ("together", "limit=4"), ("coral", "limit=4")]
    assert cells == one * 2


def test_features_are_titled_by_what_they_are_of(page: Path) -> None:
    text = page.read_text()
    best = re.search(r'<b class="best">(\w+)</b>', text)
    assert best and f"<b>best: {best[1]}</b>" in text and "<b>baseline: plain</b>" in text


def test_learning_curves_are_explained(page: Path, done: Study) -> None:
    text = page.read_text()
    panels = dict(re.findall(r"<figcaption><b>([\w/]+)</b></figcaption>.*?</svg>\s*(.*?)</figure>", text, re.DOTALL))
    assert {"tune/target", "imitation/source", "alignment", "mystery"} <= panels.keys()
    assert {name for name, words in panels.items() if "meaning" not in words} == {"mystery"}
    tested = [findings.Tested(p, []) for p in done.runs if p.run.tested]
    for closed in (False, True):
        curves = report._curves(tested, "limit=4", ["plain", "together", "coral"], closed)
        warned = {name for name, term in curves.items() if report.OPEN_LOOP in term.meaning}
        assert warned == ({"tune/target"} if closed else set())
    assert report.OPEN_LOOP not in text


def test_predictions_are_drawn_with_the_name_of_the_action_along_the_side(page: Path) -> None:
    drawn = page.read_text().split('<section id="predictions">')[1].split("</section>")[0]
    assert drawn.count(">steering</text>") >= 4  # two arms, two widths; recordings of lerobot tell no side
    assert "right +" not in drawn


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
def test_a_phone_shows_every_row_whole(browser: Any, page: Path) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 844})
    tab.goto(page.as_uri())
    inside = "cell => cell.getBoundingClientRect().right <= 376 && cell.getBoundingClientRect().left >= 14"
    wanted = {"who": 8, "told": 8, "[data-label=value]": 8, "[data-label=difference]:not(:empty)": 6}
    for what, count in wanted.items():
        cells = f"[...document.querySelectorAll('.sortable tbody td{what if what[0] == '[' else '.' + what}')]"
        assert tab.evaluate(f"{cells}.filter({inside}).filter(cell => cell.innerText.trim()).length") == count
    rows = "[...document.querySelectorAll('.sortable tbody tr')]"
    top = "row.querySelector('.{}').getBoundingClientRect().top"
    assert tab.evaluate(f"{rows}.every(row => Math.abs({top.format('who')} - {top.format('told')}) < 10)")
    label = "getComputedStyle(document.querySelector('td[data-label=difference]'), '::before').content"
    assert tab.evaluate(label) == '"difference"'
    assert tab.evaluate("[...document.querySelectorAll('.stack')].every(box => box.scrollWidth <= box.clientWidth)")
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
