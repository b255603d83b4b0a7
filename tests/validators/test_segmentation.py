"""Classes before and after: by hand, and by tiny networks of the real kind."""

from pathlib import Path

import pytest
import torch

from causeway import config
from causeway.encoders import Look, pixels
from causeway.errors import ConfigError
from causeway.gap import Comparison
from causeway.validators.segmentation import overlap
from test_contracts import keeps_to_the_contract_of_validators


def test_the_overlap_of_classes_by_hand() -> None:
    a = torch.tensor([[[0, 0, 1, 1]]])
    assert overlap(a, a, 3) == 1
    assert overlap(a, torch.tensor([[[0, 1, 1, 1]]]), 3) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert overlap(a, torch.tensor([[[2, 2, 1, 1]]]), 3) == pytest.approx((0 + 1 + 0) / 3), "what comes new counts"
    large, speck = torch.zeros(1, 20, 20, dtype=torch.long), torch.zeros(1, 20, 20, dtype=torch.long)
    speck[0, 0, :3] = 2
    assert overlap(large, speck, 3) == pytest.approx(397 / 400), "specks are asked nothing, though others lose by them"
    speck[0, 0, :4] = 2
    assert overlap(large, speck, 3) == pytest.approx(396 / 400 / 2), "a hundredth is none"
    both = overlap(torch.cat([a, a]), torch.cat([a, 1 - a]), 3)
    assert both.tolist() == [1, 0]


def test_it_needs_a_model_and_is_asked_for_by_name() -> None:
    assert "segmentation" not in config.every("validator") and "edges" in config.every("validator")
    with pytest.raises(ConfigError, match=r"\[gap.validators.segmentation\] needs 'model'"):
        config.instruments(Comparison(validators={"segmentation": {}}))
    with pytest.raises(ConfigError, match="must be a table of validators, not 'edges'"):
        config.instruments(Comparison(validators="edges"))
    made = config.instruments(Comparison(validators={"edges": {"tolerance": 0.1}, "sharp": {"name": "edges"}}))
    assert made.validators["edges"].tolerance == 0.1 and made.validators["sharp"].tolerance == 0.01
    assert {"sharp_changed", "edges_changed"} <= set(config.readings(["sharp"]))
    assert config.readings(["edges"]) == config.readings() and "segmentation_changed" not in config.readings()
    with pytest.raises(ConfigError, match="names a validator that is not edges"):
        config.validators({"edges": "structure"})


@pytest.mark.slow
def test_what_a_network_takes_things_for(tmp_path: Path) -> None:
    import foundations  # brings transformers and diffusers, which no other test here needs

    folder = str(foundations.segmentation(tmp_path / "model"))
    made = config.component("validator", {"name": "segmentation", "model": folder}).build()
    keeps_to_the_contract_of_validators(made)
    seen = torch.rand(2, 3, 40, 56)
    assert made.estimator.seen(seen).shape == (2, 40, 56) and made.estimator.classes == 3
    found = made(Look(pixels.Config().build(), seen), Look(pixels.Config().build(), seen.flip(0)))
    assert ((found >= 0) & (found <= 1)).all()
    for path in ("/no/such", "./no", "no/such/folder"):
        with pytest.raises(ConfigError, match=f"validator 'segmentation': there is no folder {path}"):
            config.component("validator", {"name": "segmentation", "model": path}).build()
    with pytest.raises(ConfigError, match="validator 'segmentation' cannot load"):
        config.component("validator", {"name": "segmentation", "model": str(tmp_path)}).build()
