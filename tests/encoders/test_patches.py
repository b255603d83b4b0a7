"""CLIP and DINOv2 as encoders: tiny ones, saved as the real ones are."""

from pathlib import Path

import pytest
import torch
import transformers
from torch.nn.functional import interpolate

import foundations
from causeway.encoders import Look, clip, dino
from causeway.errors import ConfigError


def test_clip_sees_what_transformers_says_it_sees(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = transformers.CLIPVisionConfig(**clip.TINY, image_size=32, patch_size=8, projection_dim=12)
    saved = transformers.CLIPVisionModelWithProjection(settings).eval()
    saved.save_pretrained(tmp_path / "eyes")
    made = clip.Config(str(tmp_path / "eyes")).build()
    pictures = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (clip.MEAN, clip.STD))
    look = Look(made, pictures)
    expected = saved((pictures - mean) / std, output_hidden_states=True)
    assert torch.allclose(look.vectors, expected.image_embeds, atol=1e-5) and look.vectors.shape == (2, 12)
    assert made.name == "CLIP, eyes" and made.layers == ("block1", "block2", "block3", "block4")
    assert [tuple(seen.shape) for seen in look.maps] == [(2, 32, 4, 4)] * 4
    assert torch.allclose(look.maps[1][:, :, 2, 3], expected.hidden_states[2][:, 1 + 2 * 4 + 3], atol=1e-5)
    large = Look(made, interpolate(pictures, (64, 96), mode="bicubic").clamp(0, 1))
    assert (large.vectors - look.vectors).abs().max() < 0.3 * look.vectors.abs().max(), "at its own size whatever it is"


def test_clip_says_the_way_between_words(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = transformers.CLIPConfig(
        text_config={
            **clip.TINY,
            "projection_dim": 12,
            "vocab_size": 300,
            "bos_token_id": 256,
            "eos_token_id": 257,
            "pad_token_id": 257,
        },
        vision_config={**clip.TINY, "projection_dim": 12, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    saved = transformers.CLIPModel(settings).eval()
    saved.save_pretrained(tmp_path / "clip")
    foundations.words(tmp_path / "clip").save_pretrained(tmp_path / "clip")
    ends = {"words_a": "a photo", "words_b": "a rendering of a road"}
    made = clip.Config(str(tmp_path / "clip"), **ends).build()
    tokens = foundations.words(tmp_path / "words")
    with torch.no_grad():
        parts = [saved.text_model(**tokens(each, return_tensors="pt")).pooler_output for each in ends.values()]
        a, b = (saved.text_projection(each)[0] for each in parts)
    way = b / b.norm() - a / a.norm()
    assert made.way is not None and torch.allclose(torch.from_numpy(made.way), way / way.norm(), atol=1e-5)
    assert clip.Config(str(tmp_path / "clip")).build().way is None
    with pytest.raises(ConfigError, match="may be 75 tokens long, not 80"):
        clip.Config(str(tmp_path / "clip"), words_a="x" * 80, words_b="x").build()
    for wrong in ({"words_a": "x"}, ends | {"weights": "random"}):
        with pytest.raises(ConfigError, match="words_a and words_b"):
            clip.Config(**{"weights": "clip", **wrong})


def test_dino_sees_what_transformers_says_it_sees(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved = transformers.Dinov2Model(transformers.Dinov2Config(**{**dino.TINY, "patch_size": 14})).eval()
    saved.save_pretrained(tmp_path / "eyes")
    made = dino.Config(str(tmp_path / "eyes")).build()
    assert made.side == 56
    pictures = torch.rand(2, 3, 56, 56)
    expected = saved((pictures - made.mean) / made.std, output_hidden_states=True)
    look = Look(made, pictures)
    assert torch.allclose(look.vectors, expected.last_hidden_state[:, 0], atol=1e-5) and made.name == "DINOv2, eyes"
    assert torch.allclose(look.maps[-1][:, :, 1, 2], expected.hidden_states[4][:, 1 + 4 + 2], atol=1e-5)


def test_another_model_s_folder_is_refused(tmp_path: Path) -> None:
    """transformers would draw the weights that are missing at random, others in every process."""
    transformers.Dinov2Model(transformers.Dinov2Config(**dino.TINY)).half().save_pretrained(tmp_path / "dino")
    settings = transformers.CLIPVisionConfig(**clip.TINY, image_size=32, patch_size=8, projection_dim=12)
    transformers.CLIPVisionModelWithProjection(settings).save_pretrained(tmp_path / "clip")
    with pytest.raises(ConfigError, match=r"is no CLIPVisionModelWithProjection: it holds no|cannot load"):
        clip.Config(str(tmp_path / "dino")).build()
    with pytest.raises(ConfigError, match=r"is no Dinov2Model: it holds no|cannot load"):
        dino.Config(str(tmp_path / "clip")).build()
    assert next(dino.Config(str(tmp_path / "dino")).build().model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("module", [clip, dino])
def test_weights_that_cannot_be_had(module: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot load '.*' by .*Download it where there is a network"):
        module.Config(str(tmp_path)).build()  # type: ignore[attr-defined]
