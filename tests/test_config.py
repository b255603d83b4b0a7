"""Every key and type of an experiment file is checked, and the sentence says what to do."""

from pathlib import Path

import pytest

from causeway import config
from causeway.errors import ConfigError, nearest
from causeway.run import Experiment

GOOD = {"method": {"name": "imitation", "alignment": {"name": "transport", "reach": 0.5}}}


def test_tables_become_frozen_settings() -> None:
    made = config.structure(Experiment, GOOD, "")
    assert made.method.alignment.reach == 0.5
    assert made.train.steps == Experiment(method=None).train.steps


def test_dump_and_structure_are_inverse() -> None:
    made = config.structure(Experiment, GOOD, "")
    assert config.structure(Experiment, config.dump(made), "") == made


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("method.alignment.raech=0.5", r"\[method.alignment\] has no setting 'raech'. Did you mean 'reach'\?"),
        ("method.alignment.reach='wide'", r"\[method.alignment.reach\] must be a number, not 'wide'"),
        ("train.steps=1.5", r"\[train.steps\] must be a whole number, not 1.5"),
        ("train.steps=-1", r"\[train\] needs save_every and log_every of 1 or more, and no negative steps"),
        ("train.steps=0", r"train.steps = 0 leaves what another run left as it is: name that as start"),
        ("train.clip=nan", r"\[train.clip\] must be a number, not nan"),
        ("horizon=0", r"needs horizon of 1 or more"),
        ("picture.height=4", r"\[picture\] height and width must be 8 pixels or more"),
        ("train.learning_rate=-1.0", r"\[train\] needs learning_rate above 0"),
        ("method.augment.erase=2.0", r"\[method.augment\] erase must be between 0 and 1"),
        ("method.augment.brightness=-1.0", r"must not be negative"),
        ("bridge={name='noise', level=-5.0}", r"\[bridge\] level must not be negative"),
        ("action={name='smooth', memory=1.5}", r"\[action\] memory is a share below 1"),
        ("source.block_s=0.0", r"\[source\] block_s must be above 0"),
        ("train.steps=true", r"\[train.steps\] must be a whole number, not True"),
        ("method.name=imitatoin", r"No method is called 'imitatoin'. Did you mean 'imitation'\?"),
        ("target.limit=-1", r"\[target\] limit must be 0 or more"),
        ("target.limit=some", r"\[target.limit\] must be a whole number or 'all', not 'some'"),
        ("trian.steps=5", r"The experiment has no setting 'trian'. Did you mean 'train'\?"),
        ("source.crop.top=1.5", r"crop: top and bottom are shares"),
        ("method.target_weight=2.0", r"\[method\] target_weight and guess_share are shares"),
        ("steps", "'steps' is not an override"),
    ],
)
def test_what_is_wrong_is_said(change: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[method]\nname = "imitation"\nalignment = { name = "transport" }\n')
    with pytest.raises(ConfigError, match=sentence):
        config.structure(Experiment, config.load(file, [change]), "")


def test_a_student_that_takes_no_step_is_refused() -> None:
    tree = {"method": {"name": "distillation"}, "start": "there", "train": {"steps": 0}}
    with pytest.raises(
        ConfigError, match=r"The experiment has a student, which has to learn: give it train.steps of 1 or more"
    ):
        config.structure(Experiment, tree, "")


def test_a_place_that_is_none_is_refused() -> None:
    assert config.fill(["{data}/x", 3], {"data": "here"}) == ["here/x", 3]
    with pytest.raises(ConfigError, match=r"'\{dta\}/x': there is no place \{dta\}. Did you mean 'data'\?"):
        config.fill({"root": "{dta}/x"}, {"data": "here", "runs": "there"})


def test_a_missing_and_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no experiment file"):
        config.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(ConfigError, match="not valid TOML"):
        config.load(tmp_path / "bad.toml")


def test_a_new_name_drops_the_settings_of_the_old_component() -> None:
    tree = {"alignment": {"name": "transport", "reach": 0.5}}
    config.override(tree, "alignment.name=mmd")
    assert tree == {"alignment": {"name": "mmd"}}
    assert config.merge({"a": {"name": "x", "k": 1}}, {"a": {"name": "y"}}) == {"a": {"name": "y"}}


def test_the_same_name_said_again_keeps_the_settings() -> None:
    tree = {"alignment": {"name": "transport", "reach": 0.5}}
    config.override(tree, "alignment.name=transport")
    assert tree == {"alignment": {"name": "transport", "reach": 0.5}}
    assert config.merge(tree, {"alignment": {"name": "transport"}}) == tree


def test_a_bare_word_is_a_component_without_settings() -> None:
    assert config.component("alignment", "mmd") == config.component("alignment", {"name": "mmd"})
    with pytest.raises(ConfigError, match=r"\[alignment\] needs a name: one of adversarial, coral"):
        config.component("alignment", {"reach": 0.5})


def test_settings_without_a_name_are_of_what_stands_there_by_default() -> None:
    tree = {"method": {"name": "imitation", "policy": {"bottleneck": 8}}, "action": {"low": -1.0}}
    made = config.structure(Experiment, tree, "")
    assert made.method.policy == config.component("policy", {"name": "cnn", "bottleneck": 8})
    assert made.action == config.component("action", {"name": "direct", "low": -1.0})
    with pytest.raises(ConfigError, match=r"\[method.policy\] has no setting 'botleneck'. Did you mean 'bottleneck'"):
        config.structure(Experiment, {"method": {"name": "imitation", "policy": {"botleneck": 8}}}, "")
    for wrong, where in (({"alignment": {"reach": 0.5}}, "alignment"), ({"policy": {"layer": 6}}, "policy")):
        with pytest.raises(ConfigError, match=rf"\[method.{where}\] needs a name: one of"):
            config.structure(Experiment, {"method": {"name": "imitation"} | wrong}, "")


def test_settings_laid_over_a_bare_word_are_of_the_component_that_it_names() -> None:
    tree = {"method": {"policy": "resnet"}, "action": "smooth"}
    wanted = {"method": {"policy": {"name": "resnet", "bottleneck": 32}}, "action": {"name": "smooth", "low": -1.0}}
    assert config.merge(tree, {"method": {"policy": {"bottleneck": 32}}, "action": {"low": -1.0}}) == wanted
    config.override(tree, "method.policy.bottleneck=32")
    config.override(tree, "action.low=-1.0")
    assert tree == wanted


def test_a_name_given_to_settings_without_one_keeps_them() -> None:
    tree = {"action": {"low": -1.0}}
    assert config.merge(tree, {"action": {"name": "smooth"}}) == {"action": {"low": -1.0, "name": "smooth"}}
    config.override(tree, "action.name=direct")
    assert tree == {"action": {"low": -1.0, "name": "direct"}}


def test_a_word_like_none_is_answered_with_all_there_are() -> None:
    assert nearest("zzz", ["mmd", "coral"]) == "Known: coral, mmd."
    assert nearest("zzz", []) == "Known: none."


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (3, "The experiment must be a table of settings, not 3"),
        ({}, "The experiment needs 'method'"),
        ({"method": {"name": "imitation"}, "train": 3}, r"\[train\] must be a table of settings, not 3"),
    ],
)
def test_a_table_where_one_is_needed(table: object, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config.structure(Experiment, table, "")


def test_an_override_cannot_go_through_a_number() -> None:
    with pytest.raises(ConfigError, match=r"'steps\.x' goes through 'steps', which is not a table"):
        config.override({"steps": 3}, "steps.x=1")


def test_merge_leaves_what_it_reads_alone() -> None:
    base = {"a": {"b": 1}}
    assert config.merge(base, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}}


def test_places_are_filled_everywhere() -> None:
    assert config.fill({"a": ["{data}/x"], "b": {"c": "{data}"}}, {"data": "/d"}) == {"a": ["/d/x"], "b": {"c": "/d"}}
