"""What the documents show works as it stands there."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from causeway import config, parts, run, study
from causeway.data import Domain, Joint, Moments

ROOT = Path(__file__).parent.parent


def shown(document: str, language: str) -> str:
    """The first block of code of a language in a document."""
    found = re.search(rf"```{language}\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("document", ["README.md", "docs/experiment.md"])
def test_the_experiment_files_shown_are_well_formed(document: str, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(shown(document, "toml"), encoding="utf-8")
    made = study.plan(file, tmp_path / "runs", (), data=tmp_path)
    assert "success" in made.metrics and ("throttle_error" in made.metrics) == (document != "README.md")
    assert len(made.runs) > 6 and {"source_only", "cotraining", "transport"} <= {p.arm for p in made.runs}


def test_a_component_of_ones_own_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "means.py").write_text(shown("docs/extend.md", "python"), encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    align = config.component("alignment", {"name": "means", "power": 1.0}).build(2, 1)
    ones = Joint(torch.ones(3, 2), torch.zeros(3, 1))
    assert align(ones, Joint(torch.tensor([[4.0, 5.0]]), torch.zeros(1, 1)), 0.0).item() == pytest.approx(5.0)
    assert "power" in config.dump(config.component("alignment", "means"))


def test_the_deployment_shown_gives_a_command(
    moments: Callable[..., Moments], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = moments(20, state=1)
    tree = {"method": {"name": "imitation"}, "picture": {"height": 32, "width": 48}}
    made = run.build(tree, tmp_path / "runs" / "my" / "transport-s0")
    with run.held(made):
        policy = config.component("policy", "cnn").build(recorded.spec)
        parts.save(made.folder, policy, Domain("target", *[recorded] * 5))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"images": np.zeros((1, 1, 3, 120, 160), np.uint8), "state": np.zeros((1, 1), np.float32)}
    exec(shown("docs/experiment.md", "python"), names)
    assert names["command"].shape == (2,) and np.isfinite(names["command"]).all()
