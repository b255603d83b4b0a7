"""How fast the bridge `diffusion` redraws, and in how much memory, by foundation models of the stock sizes.

    python benchmarks/foundations.py [--device cuda --precision float16] [--side 512] [--model sd-turbo] [--runs 3]

The weights are random, which are as fast and as large as published ones; they are saved and loaded as a user's are.
Each model has a process of its own. Memory is the peak of the GPU's, or of the process, loading included.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = {  # what the model is called, and how it is asked
    "sd-1.5": {"strength": 0.5, "steps": 10, "guidance": 6.0, "scheduler": "dpm"},  # as published
    "sd-1.5 lcm": {"strength": 0.5, "steps": 4, "guidance": 1.0, "scheduler": "lcm"},
    "sd-turbo": {"strength": 0.5, "steps": 2, "guidance": 1.0},
    "sdxl-turbo": {"strength": 0.5, "steps": 2, "guidance": 1.0},
}


def clip(width: int, layers: int, heads: int, projected: bool = False) -> Any:
    """A text encoder of CLIP."""
    import transformers

    settings = transformers.CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )
    return (transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel)(settings)


def words(folder: Path) -> Any:
    """A tokenizer of single letters, which fills up its 77 places as another does."""
    import transformers

    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def stock(name: str, folder: Path, precision: str) -> None:
    """A model of the size that ``name`` has, saved in ``folder``."""
    import diffusers
    import torch

    torch.set_default_dtype(getattr(torch, precision))  # a saved file of half the size, where it is half
    four = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    vae = diffusers.AutoencoderKL(
        down_block_types=four[0],
        up_block_types=four[1],
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        force_upcast=False,
    )
    schedule = diffusers.EulerDiscreteScheduler(
        beta_schedule="scaled_linear", timestep_spacing="trailing", steps_offset=1
    )
    folder.mkdir()
    parts: dict[str, Any] = {"vae": vae, "scheduler": schedule, "tokenizer": words(folder)}
    if name == "sdxl-turbo":
        unet = diffusers.UNet2DConditionModel(
            sample_size=64,
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=6 * 256 + 1280,
        )
        parts |= {"text_encoder": clip(768, 12, 12), "text_encoder_2": clip(1280, 32, 20, projected=True)}
        pipe = diffusers.StableDiffusionXLPipeline(
            unet=unet, tokenizer_2=parts["tokenizer"], add_watermarker=False, **parts
        )
    else:
        two = name == "sd-turbo"
        unet = diffusers.UNet2DConditionModel(
            sample_size=64,
            cross_attention_dim=1024 if two else 768,
            attention_head_dim=(5, 10, 20, 20) if two else 8,
            use_linear_projection=two,
        )
        parts["text_encoder"] = clip(1024, 23, 16) if two else clip(768, 12, 12)
        pipe = diffusers.StableDiffusionPipeline(
            unet=unet, safety_checker=None, feature_extractor=None, requires_safety_checker=False, **parts
        )
    pipe.save_pretrained(folder)


def measure(name: str, folder: Path, asked: argparse.Namespace) -> tuple[float, float, float]:
    """Say of one model: parameters in millions, seconds a picture, gigabytes."""
    import torch

    from causeway.bridges import diffusion

    warnings.simplefilter("ignore")
    torch.set_num_threads(asked.threads)
    settings = {**CASES[name], "side": asked.side, "precision": asked.precision, "device": asked.device}
    bridge = diffusion.Config(model=str(folder), prompt="a road", **settings).build().eval()
    bridge.begin()
    images = torch.randint(0, 255, (1, 1, 3, asked.side, asked.side), dtype=torch.uint8)
    found = []
    for _ in range(asked.runs + 1):  # the first one warms up
        begin = time.perf_counter()
        bridge(images)
        found.append(time.perf_counter() - begin)
    cuda = asked.device.startswith("cuda")
    peak = torch.cuda.max_memory_allocated() if cuda else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert bridge._foundation is not None
    parts = [part for part in bridge._foundation.pipe.components.values() if isinstance(part, torch.nn.Module)]
    size = sum(value.numel() for part in parts for value in part.parameters())
    return size / 1e6, statistics.median(found[1:]), peak / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", action="append", choices=CASES)
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(f"{asked.side} x {asked.side} pixels, one picture at a time, {asked.device}, {asked.precision}:\n")
    print("| model | parameters | denoising steps | seconds a picture | peak memory |\n|---|---|---|---|---|")
    for name in asked.model or CASES:
        with tempfile.TemporaryDirectory() as place, ProcessPoolExecutor(1, context, max_tasks_per_child=1) as alone:
            folder = Path(place) / "model"
            alone.submit(stock, name, folder, asked.precision).result()
            size, seconds, peak = alone.submit(measure, name, folder, asked).result()
        case = CASES[name]
        steps = f"{int(case['steps'] * case['strength'])} of {case['steps']}"
        print(f"| {name} | {size:,.0f} M | {steps} | {seconds:.2f} | {peak:.1f} GB |", flush=True)


if __name__ == "__main__":
    main()
