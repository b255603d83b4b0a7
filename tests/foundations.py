"""Tiny foundation models of the real classes, saved as a hub would give them: of use to nobody, and quick."""

from __future__ import annotations  # diffusers and transformers load what is named, and that takes seconds

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import diffusers
import tokenizers
import torch
import transformers
from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
from diffusers.models.embeddings import IPAdapterTimeImageProjection
from torch import Tensor

from causeway.bridges.diffusion import Diffusion

Tiny = Callable[..., Diffusion]
WIDTHS = (16, 32)  # of U-Nets
PACKED = {  # of FLUX's transformer and those made like it
    "patch_size": 1,
    "in_channels": 16,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 16,
    "axes_dims_rope": (4, 4, 8),
}
ATTENDS = {
    "block_out_channels": WIDTHS,
    "layers_per_block": 1,
    "sample_size": 8,
    "norm_num_groups": 8,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "attention_head_dim": 8,
}


def filling(folder: Path) -> Path:
    """Stable Diffusion for filling in, which is shown what is masked too."""
    return stable(folder, in_channels=9)


def stable(folder: Path, prediction: str = "epsilon", **settings: object) -> Path:
    """Stable Diffusion, of any prediction type."""
    return saved(
        folder,
        diffusers.StableDiffusionPipeline(
            vae=vae(),
            text_encoder=clip(),
            tokenizer=words(folder),
            unet=unet(cross_attention_dim=16, **settings),
            scheduler=schedule(prediction),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ),
    )


def consistent(folder: Path) -> Path:
    """A latent consistency model."""
    return saved(
        folder,
        diffusers.LatentConsistencyModelPipeline(
            vae=vae(),
            text_encoder=clip(),
            tokenizer=words(folder),
            unet=unet(cross_attention_dim=16, time_cond_proj_dim=8),
            scheduler=diffusers.LCMScheduler(beta_schedule="scaled_linear"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ),
    )


def large(folder: Path) -> Path:
    """Stable Diffusion XL."""
    return saved(
        folder,
        diffusers.StableDiffusionXLPipeline(
            vae=vae(),
            text_encoder=clip(),
            text_encoder_2=clip(projected=True),
            tokenizer=words(folder),
            tokenizer_2=words(folder),
            unet=unet(
                cross_attention_dim=32,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + 16,
            ),
            scheduler=schedule("epsilon"),
            add_watermarker=False,
        ),
    )


def three(folder: Path) -> Path:
    """Stable Diffusion 3, without its largest text encoder."""
    made = diffusers.SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=32,
        out_channels=4,
        pos_embed_max_size=32,
    )
    return saved(
        folder,
        diffusers.StableDiffusion3Pipeline(
            vae=vae(shift_factor=0.06),
            text_encoder=clip(projected=True),
            text_encoder_2=clip(projected=True),
            text_encoder_3=None,
            tokenizer=words(folder),
            tokenizer_2=words(folder),
            tokenizer_3=None,
            transformer=made,
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        ),
    )


def flux(folder: Path) -> Path:
    """FLUX.1, with a tiny T5."""
    made = diffusers.FluxTransformer2DModel(
        **PACKED,
        pooled_projection_dim=16,
        guidance_embeds=True,
    )
    return saved(
        folder,
        diffusers.FluxPipeline(
            vae=vae(shift_factor=0.06),
            text_encoder=clip(),
            text_encoder_2=five(),
            tokenizer=words(folder),
            tokenizer_2=words(folder),
            transformer=made,
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        ),
    )


def refiner(folder: Path) -> Path:
    """Stable Diffusion XL's refiner, which has one text encoder and is told a score instead of a size."""
    return saved(
        folder,
        diffusers.StableDiffusionXLImg2ImgPipeline(
            vae=vae(),
            text_encoder=None,
            text_encoder_2=clip(projected=True),
            tokenizer=None,
            tokenizer_2=words(folder),
            unet=unet(
                cross_attention_dim=16,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=5 * 8 + 16,
            ),
            scheduler=schedule("epsilon"),
            requires_aesthetics_score=True,
            add_watermarker=False,
        ),
    )


def zimage(folder: Path) -> Path:
    """Z-Image, whose prompts are of different lengths, with a tiny Qwen."""
    torch.manual_seed(0)
    made = diffusers.ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[4, 6, 6],
        axes_lens=[600, 64, 64],
    )
    three = transformers.Qwen3Model(
        transformers.Qwen3Config(
            vocab_size=300,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
        )
    )
    return saved(
        folder,
        diffusers.ZImagePipeline(
            vae=vae(shift_factor=0.06),
            text_encoder=three,
            tokenizer=letters(),
            transformer=made,
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        ),
    )


def qwen(folder: Path) -> Path:
    """Qwen-Image, whose autoencoder is one of videos."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16}
    said = sizes | {"vocab_size": 300, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    settings = transformers.Qwen2_5_VLConfig(
        text_config=said | {"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}},
        vision_config=sizes | {"depth": 1, "num_heads": 2, "out_hidden_size": 16},
        bos_token_id=1,
        eos_token_id=2,
    )
    made = diffusers.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 6, 6),
    )
    return saved(
        folder,
        diffusers.QwenImagePipeline(
            vae=diffusers.AutoencoderKLQwenImage(
                base_dim=8,
                z_dim=4,
                dim_mult=[1, 1, 1],
                num_res_blocks=1,
                temperal_downsample=[False, True],
                latents_mean=[0.0] * 4,
                latents_std=[1.0] * 4,
            ),
            text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(settings),
            tokenizer=letters(),
            transformer=made,
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        ),
    )


def chroma(folder: Path) -> Path:
    """Chroma, of which diffusers' AutoPipeline knows nothing."""
    torch.manual_seed(0)
    made = diffusers.ChromaTransformer2DModel(
        **PACKED,
        approximator_num_channels=8,
        approximator_hidden_dim=16,
        approximator_layers=1,
    )
    return saved(
        folder,
        diffusers.ChromaPipeline(
            vae=vae(shift_factor=0.06),
            text_encoder=five(),
            tokenizer=words(folder),
            transformer=made,
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        ),
    )


def kandinsky(folder: Path) -> Path:
    """Kandinsky 3, whose autoencoder has another name and whose call takes no size."""
    torch.manual_seed(0)
    made = diffusers.Kandinsky3UNet(
        time_embedding_dim=4,
        groups=2,
        attention_head_dim=4,
        layers_per_block=3,
        block_out_channels=(32, 64),
        cross_attention_dim=4,
        encoder_hid_dim=16,
    )
    movq = diffusers.VQModel(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        norm_num_groups=4,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    )
    return saved(
        folder,
        diffusers.Kandinsky3Pipeline(
            tokenizer=letters(), text_encoder=five(), unet=made, scheduler=diffusers.DDPMScheduler(), movq=movq
        ),
    )


def kontext(folder: Path) -> Path:
    """FLUX.1 Kontext, which edits a picture by words alone: it has no strength."""
    parts = diffusers.FluxPipeline.from_pretrained(flux(folder)).components
    return saved(folder, diffusers.FluxKontextPipeline(**parts))


def controlnet(folder: Path, model: Path) -> Path:
    """A ControlNet for a tiny Stable Diffusion; its last layers are not 0, as they are before one is trained."""
    torch.manual_seed(1)
    made = diffusers.ControlNetModel.from_unet(
        diffusers.UNet2DConditionModel.from_pretrained(model / "unet"), conditioning_embedding_out_channels=(8, 16)
    )
    for layer in [*made.controlnet_down_blocks, made.controlnet_mid_block, made.controlnet_cond_embedding.conv_out]:
        torch.nn.init.normal_(layer.weight, std=0.3)
    made.save_pretrained(folder)
    return folder


def flux_controlnet(folder: Path, model: Path) -> Path:
    """The same for a tiny FLUX."""
    torch.manual_seed(1)
    made = diffusers.FluxControlNetModel.from_transformer(
        diffusers.FluxTransformer2DModel.from_pretrained(model / "transformer"),
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
    )
    for layer in [*made.controlnet_blocks, *made.controlnet_single_blocks, made.controlnet_x_embedder]:
        torch.nn.init.normal_(layer.weight, std=0.3)
    made.save_pretrained(folder)
    return folder


def adapter(folder: Path, model: Path) -> Path:
    """An IP-Adapter for a tiny Stable Diffusion, with its image encoder: models/tiny.bin in ``folder``."""
    torch.manual_seed(2)
    net = diffusers.UNet2DConditionModel.from_pretrained(model / "unet")
    told, number, layers = net.config.cross_attention_dim, 1, {}
    for name, weight in net.state_dict().items():
        if name.endswith("attn2.to_k.weight"):
            for which in ("k", "v"):
                layers[f"{number}.to_{which}_ip.weight"] = torch.randn(weight.shape[0], told)
            number += 2
    return _adapter(folder, told, layers)


def flux_adapter(folder: Path, model: Path) -> Path:
    """The same for a tiny FLUX."""
    torch.manual_seed(2)
    net = diffusers.FluxTransformer2DModel.from_pretrained(model / "transformer")
    told, layers = net.config.joint_attention_dim, {}
    for number in range(net.config.num_layers):
        for which in ("k", "v"):
            layers[f"{number}.to_{which}_ip.weight"] = 4 * torch.randn(net.inner_dim, told)
            layers[f"{number}.to_{which}_ip.bias"] = torch.zeros(net.inner_dim)
    return _adapter(folder, told, layers)


def three_adapter(folder: Path, model: Path) -> Path:
    """The same for a tiny Stable Diffusion 3: it sees by SigLIP, and another thing at each step."""
    torch.manual_seed(2)
    net = diffusers.SD3Transformer2DModel.from_pretrained(model / "transformer")
    head, width, layers = net.config.attention_head_dim, net.inner_dim, {}
    for number in range(net.config.num_layers):
        each = SD3IPAdapterJointAttnProcessor2_0(width, width, head, timesteps_emb_dim=16)
        layers |= {f"{number}.{name}": weight for name, weight in each.state_dict().items()}
        for which in ("k", "v"):
            layers[f"{number}.to_{which}_ip.weight"] = 4 * torch.randn(width, width)
    image = IPAdapterTimeImageProjection(
        embed_dim=16, output_dim=width, hidden_dim=16, heads=1, num_queries=4, timestep_in_dim=8
    )
    (folder / "models").mkdir(parents=True)
    torch.save({"image_proj": image.state_dict(), "ip_adapter": layers}, folder / "models" / "tiny.bin")
    settings = transformers.SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8
    )
    transformers.SiglipVisionModel(settings).save_pretrained(folder / "models" / "image_encoder")
    transformers.SiglipImageProcessor(size={"height": 16, "width": 16}).save_pretrained(
        folder / "models" / "image_encoder"
    )
    return folder


def _adapter(folder: Path, told: int, layers: dict[str, torch.Tensor]) -> Path:
    """Its layers, and an image encoder, saved."""
    (folder / "models").mkdir(parents=True)
    image = {
        "proj.weight": torch.randn(4 * told, 16),
        "proj.bias": torch.zeros(4 * told),
        "norm.weight": torch.ones(told),
        "norm.bias": torch.zeros(told),
    }
    torch.save({"image_proj": image, "ip_adapter": layers}, folder / "models" / "tiny.bin")
    transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            projection_dim=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=16,
            patch_size=8,
        )
    ).save_pretrained(folder / "models" / "image_encoder")
    return folder


def depth(folder: Path) -> Path:
    """An estimator of depth."""
    torch.manual_seed(3)
    settings = transformers.GLPNConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 8],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 1],
        mlp_ratios=[1, 1],
        decoder_hidden_size=8,
    )
    transformers.GLPNForDepthEstimation(settings).save_pretrained(folder)
    transformers.GLPNImageProcessorPil(size_divisor=8).save_pretrained(folder)
    return folder


def segmentation(folder: Path) -> Path:
    """An estimator of three classes."""
    torch.manual_seed(4)
    settings = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 8],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 1],
        mlp_ratios=[1, 1],
        decoder_hidden_size=8,
        num_labels=3,
    )
    transformers.SegformerForSemanticSegmentation(settings).save_pretrained(folder)
    transformers.SegformerImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def schedule(prediction: str) -> diffusers.SchedulerMixin:
    return diffusers.PNDMScheduler(
        beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1, prediction_type=prediction
    )


def vae(**settings: float) -> diffusers.AutoencoderKL:
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        **settings,
    )


def unet(**settings: object) -> diffusers.UNet2DConditionModel:
    torch.manual_seed(0)
    return diffusers.UNet2DConditionModel(**ATTENDS, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **settings)


def clip(projected: bool = False) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    settings = transformers.CLIPTextConfig(
        vocab_size=300,
        hidden_size=16,
        intermediate_size=16,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=256,
        eos_token_id=257,
        pad_token_id=257,
    )
    return (transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel)(settings)


def five() -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    return transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    )


def letters() -> transformers.PreTrainedTokenizerFast:
    """A tokenizer of single letters that talks."""
    signs = [*map(chr, range(33, 127)), "<pad>", "<unknown>"]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({sign: number for number, sign in enumerate(signs)}, unk_token="<unknown>")
    )
    each = tokenizers.pre_tokenizers.Split(tokenizers.Regex("."), "isolated")
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([tokenizers.pre_tokenizers.WhitespaceSplit(), each])
    told = transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", model_max_length=600)
    told.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    return told


def words(folder: Path) -> transformers.CLIPTokenizer:
    """A tokenizer of single letters."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)} | {"<|startoftext|>": 256, "<|endoftext|>": 257}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def saved(folder: Path, pipe: diffusers.DiffusionPipeline) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.save_pretrained(folder)
    return folder


def pictures(count: int = 2, cameras: int = 1, height: int = 24, width: int = 32) -> Tensor:
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(count * cameras, 3, 4, 4, generator=random) * 255
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return fine.to(torch.uint8).view(count, cameras, 3, height, width)


def far(one: Tensor, other: Tensor) -> float:
    return (one.float() - other.float()).abs().max().item()
