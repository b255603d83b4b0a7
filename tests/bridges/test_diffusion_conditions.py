"""Weather, time and season by prompt."""

import pytest
import torch

from causeway.bridges import BLENDS, conditions, diffusion
from causeway.errors import ConfigError
from causeway.redrawing import SETS
from foundations import Tiny, pictures


def test_a_condition_is_words_of_the_prompt(tiny: Tiny) -> None:
    varied, told = tiny(prompt="a street"), tiny(prompt=f"a street, {diffusion.CONDITIONS['rain']}")
    plain = varied(pictures())
    varied.vary("rain")
    assert torch.equal(varied(pictures()), told(pictures())) and not torch.equal(varied(pictures()), plain)
    early = tiny(prompt="a street")
    early.vary("rain")
    assert torch.equal(early(pictures()), told(pictures())), "said before the model is there"
    both = tiny(prompt=f"a street, {diffusion.CONDITIONS['rain']}, {diffusion.CONDITIONS['night']}")
    early.vary("rain", "night")
    assert torch.equal(early(pictures()), both(pictures()))


def test_every_set_is_known_to_what_varies() -> None:
    words = {word for each in SETS.values() for word in each}
    assert words - set(BLENDS) == set(diffusion.CONDITIONS)
    assert words - set(BLENDS) - set(SETS["odd"]) == set(conditions.LOOKS), "optics build no city"


@pytest.mark.parametrize("model", ["stable", "large", "three", "flux"])
def test_a_share_of_a_condition_lies_between_the_embeddings_of_two_prompts(tiny: Tiny, model: str) -> None:
    half, whole, none = tiny(model), tiny(model), tiny(model)
    half.vary("night", "0.5")
    whole.vary("night")
    drawn = half(pictures())
    shown = [each._ready(torch.device("cpu")).shown for each in (half, whole, none)]
    for name, value in shown[0].items():
        assert torch.allclose(value, (shown[1][name] + shown[2][name]) / 2, atol=1e-5), name
    assert not torch.equal(drawn, whole(pictures())) and not torch.equal(drawn, none(pictures()))
    half.vary("night")
    assert torch.equal(half(pictures()), whole(pictures())), "the share of before is forgotten"
    half.vary("night", "1")
    assert torch.equal(half(pictures()), whole(pictures()))


def test_a_blend_begins_at_the_origin(tiny: Tiny) -> None:
    blended, origin = tiny(origin="a simulation"), tiny(prompt="a simulation")
    blended.vary("0.25")
    blended(pictures())
    found, first, last = (each._ready(torch.device("cpu")).shown for each in (blended, origin, tiny()))
    assert torch.allclose(
        found["prompt_embeds"], 0.75 * first["prompt_embeds"] + 0.25 * last["prompt_embeds"], atol=1e-5
    )


def test_a_share_of_a_condition_begins_at_the_prompt_whatever_the_origin(tiny: Tiny) -> None:
    one, other = tiny(origin="a simulation"), tiny()
    for each in (one, other):
        each.vary("night", "0.5")
    assert torch.equal(one(pictures()), other(pictures()))


def test_a_blend_without_two_ends_is_refused(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"set the bridge's origin, or vary time=night\+0\.5"):
        tiny().vary("0.5")
    with pytest.raises(ConfigError, match=r"has 2 shares"):
        tiny().vary("night", "0.5", "0.25")


def test_an_origin_too_long_is_told_where_it_is_said(tiny: Tiny) -> None:
    long = tiny(origin="word " * 200)
    long(pictures())  # nobody says it
    with pytest.raises(ConfigError, match=r"Shorten the prompt"):
        long.vary("0.5")


def test_what_is_no_condition_is_told(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"there is no condition 'rian'. Did you mean 'rain'"):
        tiny().vary("rian")
