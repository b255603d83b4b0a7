"""Whether content survived: what is no change, what is one, and what is a larger one."""

import pytest
import torch
from torch import Tensor

from causeway import config
from causeway.encoders import Look, pixels
from causeway.validators import Validator, edges, structure


def scene(shift: int = 0) -> Tensor:
    """A road between verges under a sky, with a box on it, (1, 3, 48, 64)."""
    torch.manual_seed(0)
    picture = torch.full((1, 3, 48, 64), 0.8) + 0.05 * torch.rand(1, 3, 48, 64)
    picture[:, :, 20:] = torch.tensor([0.2, 0.6, 0.2]).view(3, 1, 1)
    picture[:, :, 20:, 20 + shift : 44 + shift] = 0.3
    picture[:, :, 26:36, 28 + shift : 36 + shift] = torch.tensor([0.9, 0.1, 0.1]).view(3, 1, 1)
    return picture


def change(made: Validator, before: Tensor, after: Tensor) -> float:
    eye = pixels.Config().build()
    return float(made(Look(eye, before), Look(eye, after)))


@pytest.mark.parametrize("name", ["edges", "perceptual", "structure"])
def test_a_scene_that_moved_has_changed_more_than_its_light(name: str) -> None:
    made = config.component("validator", name).build()
    darker, moved = change(made, scene(), 0.7 * scene()), change(made, scene(), scene(shift=14))
    assert change(made, scene(), scene()) == pytest.approx(0, abs=1e-6) and moved > 3 * max(darker, 1e-3)


def test_edges_mind_places_alone() -> None:
    made = edges.Config().build()
    assert change(made, scene(), 1 - scene()) < 1e-3, "a negative has the edges that the picture had"
    assert change(made, scene(), scene(2)) < change(made, scene(), scene(6)) < change(made, scene(), scene(14))
    forgiving = edges.Config(tolerance=0.05).build()
    assert change(forgiving, scene(), scene(2)) < change(made, scene(), scene(2))


def test_edges_where_there_were_none_are_another_content() -> None:
    made, plain = edges.Config().build(), torch.full((1, 3, 48, 64), 0.5)
    assert change(made, plain, scene()) == pytest.approx(1.0), "all of them are new"
    assert change(made, plain, 0.5 * plain) == 0
    assert change(made, scene(), torch.full((1, 3, 48, 64), 0.5)) == pytest.approx(1.0), "all of them are"


def test_structure_minds_which_places_look_alike() -> None:
    made = structure.Config().build()
    swapped = scene()[:, [2, 1, 0]]
    assert change(made, scene(), swapped) < 0.5 * change(made, scene(), scene(shift=14))


def test_several_pictures_are_judged_one_by_one() -> None:
    both = torch.cat([scene(), scene(14)])
    eye = pixels.Config().build()
    for name in ("edges", "perceptual", "structure"):
        made = config.component("validator", name).build()
        found = made(Look(eye, both), Look(eye, torch.cat([scene(), scene()])))
        assert found.shape == (2,) and found[0] < 1e-6 < found[1]
