"""Pictures for the page: what a policy sees, enlarged, with the action drawn in."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

STRIP = 64  # pixels over an enlarged picture, for the action and a line of text
PAPER, TRACK, MUTED = (22, 24, 29), (58, 62, 71), (155, 160, 170)
TRUTH = (240, 240, 240)
LARGE = 480  # pixels, width of an enlarged picture
SMALL = 200  # pixels, width of a sample


def picture(images: NDArray[np.uint8]) -> Image.Image:
    """All cameras (V, 3, H, W) of one moment side by side."""
    return Image.fromarray(np.concatenate(list(images.transpose(0, 2, 3, 1)), axis=1))


def enlarged(image: Image.Image, width: int) -> Image.Image:
    """``image`` at ``width`` pixels, smoothly; both sides even, as films need them."""
    height = round(image.height * width / image.width / 2) * 2
    return image.resize((width, height), Image.Resampling.BICUBIC)


def gauged(image: Image.Image, name: str, guess: float, truth: float | None, text: str, ink: str) -> Image.Image:
    """``image`` under a strip that shows an action in -1..1: a bar of ``ink``, and a mark where the person was."""
    width, height = image.size
    unit, strip = width / LARGE, round(STRIP * width / LARGE / 2) * 2
    canvas = Image.new("RGB", (width, height + strip), PAPER)
    canvas.paste(image, (0, strip))
    draw = ImageDraw.Draw(canvas)
    font, edge, line = ImageFont.load_default(size=17 * unit), 16 * unit, 7 * unit
    draw.text((edge, line), f"{name} {guess:+.2f}", fill=ink, font=font)
    draw.text((width - edge, line), text, fill=MUTED, font=font, anchor="ra")
    if truth is not None:
        draw.text((width / 2, line), f"recorded {truth:+.2f}", fill=TRUTH, font=font, anchor="ma")
    middle, half, level = width / 2, width / 2 - edge, strip - 17 * unit
    draw.rounded_rectangle((edge, level - 3 * unit, width - edge, level + 3 * unit), 3 * unit, fill=TRACK)
    end = middle + half * float(np.clip(guess, -1, 1))
    draw.rectangle((min(middle, end), level - 7 * unit, max(middle, end), level + 7 * unit), fill=ink)
    draw.line((middle, level - 10 * unit, middle, level + 10 * unit), fill=MUTED, width=2)
    if truth is not None:
        at = middle + half * float(np.clip(truth, -1, 1))
        for away in (-12 * unit, 12 * unit):
            draw.polygon([(at - 6 * unit, level + away), (at + 6 * unit, level + away), (at, level)], fill=TRUTH)
    return canvas


def uri(image: Image.Image, quality: int = 85) -> str:
    """The picture as an address that needs no network."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return inlined(file.getvalue(), "image/jpeg")


def inlined(content: bytes, kind: str) -> str:
    """``content`` as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def array(image: Image.Image) -> NDArray[Any]:
    """The pixels, (H, W, 3) uint8."""
    return np.asarray(image)
