"""The folder listing is the registry."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from causeway import catalog, config
from causeway.bridges import noise
from causeway.errors import ConfigError


def test_a_file_is_a_component_and_an_underscore_hides_one() -> None:
    assert {"none", "coral", "mmd", "adversarial", "transport"} <= set(catalog.names("alignment"))
    assert not any(name.startswith("_") for kind in catalog.FOLDERS for name in catalog.names(kind))


@pytest.mark.parametrize("kind", sorted(catalog.FOLDERS))
def test_every_component_says_what_it_is_and_what_each_setting_does(kind: str) -> None:
    for name in catalog.names(kind):
        assert len(catalog.summary(kind, name)) > 20, name
        for setting in catalog.settings(catalog.find(kind, name).Config):
            assert setting.meaning, f"{kind} {name}: '{setting.name}' has no trailing comment"


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(ConfigError, match=r"No alignment is called 'transprot'. Did you mean 'transport'\?"):
        catalog.find("alignment", "transprot")


COMPONENT = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    depth: int = 3\n"


def test_a_component_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "my_bridge.py").write_text(COMPONENT)
    monkeypatch.syspath_prepend(tmp_path)
    made = config.component("bridge", {"name": "my_package.my_bridge", "depth": 4})
    assert made.depth == 4 and catalog.name_of(made) == "my_package.my_bridge"
    sys.modules.pop("my_package.my_bridge")


def test_a_module_that_lies_along_the_path_is_a_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lone_bridge.py").write_text(COMPONENT)
    monkeypatch.syspath_prepend(tmp_path)
    made = config.component("bridge", {"name": "lone_bridge", "depth": 4})
    assert made.depth == 4 and catalog.name_of(made) == "lone_bridge"
    sys.modules.pop("lone_bridge")


def test_settings_show_the_comment_of_the_source() -> None:
    found = {s.name: s for s in catalog.settings(catalog.find("bridge", "noise").Config)}
    assert found["level"].default == "100.0" and "of 255" in found["level"].meaning


@dataclass
class Sample:
    rate: int  # how often
    dark: bool = False  # whether it is night
    size: tuple[
        int,  # rows
        int,  # and columns
    ] = (1, 2)
    plain: int = 3
    # a remark that belongs to no setting
    bridge: object = field(default_factory=noise.Config)  # a component


def test_each_setting_has_its_own_comment_and_default() -> None:
    found = {s.name: (s.default, s.meaning) for s in catalog.settings(Sample)}
    assert found == {
        "rate": ("required", "how often"),
        "dark": ("False", "whether it is night"),
        "size": ("(1, 2)", "rows and columns"),
        "plain": ("3", ""),
        "bridge": ("noise", "a component"),
    }


def test_a_kind_is_the_last_word_of_its_key() -> None:
    kinds = {key: catalog.kind_of(key) for key in ("dataset", "test_dataset", "alignment_weight", "datasets")}
    assert kinds == {"dataset": "dataset", "test_dataset": "dataset", "alignment_weight": None, "datasets": None}


def test_a_summary_is_the_first_line() -> None:
    assert noise.__doc__ and noise.__doc__.startswith(catalog.summary("bridge", "noise"))


def test_what_is_no_component_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = "It is looked for in the present folder, beside the experiment file and along PYTHONPATH."
    with pytest.raises(ConfigError, match=f"bridge 'no.such' cannot be imported: No module named 'no'. {looked}"):
        catalog.find("bridge", "no.such")
    for name in ("os.path", "json"):
        with pytest.raises(ConfigError, match=f"bridge '{name}' has no dataclass Config, so it is not a component"):
            catalog.find("bridge", name)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "plain_bridge.py").write_text("class Config:\n    depth: int = 3\n")
    with pytest.raises(ConfigError, match="bridge 'plain_bridge' has no dataclass Config"):
        catalog.find("bridge", "plain_bridge")
    sys.modules.pop("plain_bridge")
    (tmp_path / "broken_bridge.py").write_text("from os import nothing_of_the_kind\n")
    with pytest.raises(
        ConfigError, match=r"'broken_bridge' cannot be imported: cannot import name .* from 'os'"
    ) as said:
        catalog.find("bridge", "broken_bridge")
    assert looked not in str(said.value), "it was found"


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "a whole number"),
        (float, "a number"),
        (str, "a text"),
        (bool, "true or false"),
        (tuple[str, ...], "a list, each a text"),
        (float | None, "a number"),
        (int | Literal["all"], "a whole number or 'all'"),
        (Literal["source", "target"], "'source' or 'target'"),
        (Sample, "a table of settings"),
    ],
)
def test_a_type_is_said_in_the_words_of_an_experiment_file(hint: Any, words: str) -> None:
    assert catalog.in_words(hint) == words


def test_a_table_that_may_stand_for_a_setting_is_listed_after_it() -> None:
    named = {s.name: s for s in catalog.settings(catalog.find("simulator", "robosuite").Config)}
    assert named["look"].type == "'source' or 'target' or a table of settings" and named["look"].default == "None"
    assert named["look.grain"].default == "0.0" and "stripes" in named["look.grain"].meaning
    augment = {s.name for s in catalog.settings(catalog.find("method", "imitation").Config)}
    assert "augment.blur" in augment and "augment" not in augment, "a table alone is its settings"
