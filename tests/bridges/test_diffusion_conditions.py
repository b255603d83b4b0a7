"""Weather, time and season by prompt."""

import pytest
import torch

from causeway.bridges import conditions, diffusion, small
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
    assert words - set(small.BLENDS) == set(diffusion.CONDITIONS) == set(conditions.LOOKS)


def test_what_is_no_condition_is_told(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"there is no condition 'rian'. Did you mean 'rain'"):
        tiny().vary("rian")
