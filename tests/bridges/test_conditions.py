"""Weather, times of day and seasons by simple optics: what each does to a picture."""

import pytest
import torch
from torch import Tensor

from causeway.bridges import conditions
from causeway.errors import ConfigError


def scene() -> Tensor:
    """A blue sky, a green verge and a grey road, (1, 1, 3, 48, 64)."""
    picture = torch.zeros(3, 48, 64)
    picture[:, :16] = torch.tensor([110.0, 150, 220]).view(3, 1, 1)
    picture[:, 16:, :20] = torch.tensor([60.0, 150, 50]).view(3, 1, 1)
    picture[:, 16:, 20:] = 90
    return picture.to(torch.uint8)[None, None]


def seen(name: str, strength: float = 1.0) -> Tensor:
    return conditions.Config(name, strength).build()(scene())[0, 0].float()


@pytest.mark.parametrize("name", sorted(conditions.LOOKS))
def test_a_condition_of_no_strength_changes_nothing_and_of_more_more(name: str) -> None:
    plain = scene()[0, 0].float()
    change = [(seen(name, strength) - plain).abs().mean() for strength in (0.0, 0.3, 1.0)]
    assert change[0] < 0.51 < change[1] < change[2], name


def test_fog_by_hand() -> None:
    found = seen("fog")[0, :, 40]
    clear = float(torch.exp(torch.tensor(-2.5)))
    assert found[0].item() == pytest.approx(255 * (110 / 255 * clear + 0.75 * (1 - clear)), abs=1)
    near = float(torch.exp(torch.tensor(-2.5 * 0.15)))
    assert found[-1].item() == pytest.approx(255 * (90 / 255 * near + 0.75 * (1 - near)), abs=1)


def test_what_each_does() -> None:
    plain, verge, road = scene()[0, 0].float(), (slice(None), slice(20, 48), slice(0, 20)), (slice(None), slice(20, 48))
    assert seen("night").mean() < 0.5 * plain.mean() and seen("noon").std() > 1.1 * plain.std()
    assert seen("snow")[road].mean() > plain[road].mean() + 20
    assert seen("dusk").mean((1, 2))[0] > seen("dusk").mean((1, 2))[2] + 10
    greens = {name: seen(name)[verge].mean((1, 2)) for name in ("autumn", "winter", "spring")}
    assert greens["autumn"][0] > greens["autumn"][1] > greens["autumn"][2]
    assert greens["winter"].std() < 8 and greens["spring"][1] > plain[verge].mean((1, 2))[1]
    assert torch.allclose(seen("autumn")[:, 20:, 24:], plain[:, 20:, 24:], atol=1), "what is not green stays"


def test_what_falls_is_drawn_by_the_clip() -> None:
    made = conditions.Config("rain").build()
    made.clip(1)
    one, again = made(scene()), made(scene())
    made.clip(2)
    assert torch.equal(one, again) and not torch.equal(made(scene()), one)


def test_what_is_no_condition() -> None:
    with pytest.raises(ConfigError, match=r"there is no condition 'frog'. Did you mean 'fog'"):
        conditions.Config("frog")
    with pytest.raises(ConfigError, match="strength must not be negative"):
        conditions.Config(strength=-1)


def test_several_at_once_are_one_after_the_other() -> None:
    rainy = conditions.Config("fog").build()(scene())
    made = conditions.Config("fog+night").build()
    assert (made(scene()).int() - conditions.Config("night").build()(rainy).int()).abs().max() <= 1
    varied = conditions.Config().build()
    varied.vary("fog", "night")
    assert torch.equal(varied(scene()), made(scene())) and not torch.equal(varied(scene()), rainy)
    with pytest.raises(ConfigError, match=r"no condition 'nihgt'. Did you mean 'night'"):
        conditions.Config("fog+nihgt")
