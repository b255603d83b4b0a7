"""Small recordings made by hand, in every format that is read."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from causeway.datasets import Episode
from causeway.recorder import Pictures, Recorder, Recording


def picture(seed: int, height: int = 24, width: int = 32) -> np.ndarray:
    """A smooth picture that differs by seed, kind to both JPEG and h264."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, np.full_like(x, seed * 7 % 256)], -1).astype(np.uint8)


def episode(length: int, seed: int = 0, name: str = "0", states: int = 1, task: str = "drive") -> Episode:
    random = np.random.default_rng(seed)
    return Episode(
        name,
        np.arange(length) / 10,
        random.normal(size=(length, states)).astype(np.float32),
        random.uniform(-1, 1, size=(length, 2)).astype(np.float32),
        task,
    )


def views(length: int, cameras: int = 1, seed: int = 0) -> list[np.ndarray]:
    return [np.stack([picture(seed + 10 * i + v) for v in range(cameras)]) for i in range(length)]


def write_lerobot(
    folder: Path, count: int = 3, pictures: Pictures = "image", cameras: tuple[str, ...] = ("front",)
) -> Path:
    """A LeRobot dataset: ``count`` episodes of 5, 6, 7... frames, named t0, t1..."""
    with Recorder(folder, Recording(cameras, 10, ("speed",), ("steering", "throttle"), pictures)) as recorder:
        for number in range(count):
            length = 5 + number
            recorder.add(episode(length, number, f"t{number}"), views(length, len(cameras), seed=number))
    return folder


def write_csv(folder: Path, rows: list[str], head: str = "file,tub,index,milliseconds,angle,throttle") -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for row in rows:
        Image.fromarray(picture(len(row))).save(folder / "images" / row.split(",")[0])
    (folder / "labels.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def write_tub1(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(
        '{"inputs": ["cam/image_array", "user/angle"], "types": ["image_array", "float"]}'
    )
    for i in range(1, count + 1):
        Image.fromarray(picture(i)).save(folder / f"{i}_cam-image_array_.jpg")
        content = {"cam/image_array": f"{i}_cam-image_array_.jpg", "user/angle": i / 100, "user/throttle": 0.5}
        (folder / f"record_{i}.json").write_text(json.dumps(content | {"user/mode": "user", "milliseconds": i * 50}))
    return folder


def write_tub2(folder: Path, count: int, deleted: tuple[int, ...] = (), session_after: int = 10**9) -> Path:
    """A tub as Donkey 4 and 5 write it, ten records to a catalog."""
    (folder / "images").mkdir(parents=True)
    names = []
    for i in range(count):
        Image.fromarray(picture(i)).save(folder / "images" / f"{i}_cam_image_array_.jpg")
        if i % 10 == 0:
            names.append(f"catalog_{i // 10}.catalog")
        content = {"_index": i, "_session_id": f"22-11-12_{int(i >= session_after)}", "_timestamp_ms": 10**12 + i * 50}
        content |= {"cam/image_array": f"{i}_cam_image_array_.jpg", "user/angle": i / 100, "user/throttle": 0.25}
        with open(folder / names[-1], "a", newline="") as file:
            file.write(json.dumps(content | {"user/mode": "user"}, sort_keys=True) + "\r\n")
    catalogs = {"paths": names, "current_index": count, "max_len": 10, "deleted_indexes": list(deleted)}
    inputs, types = ["cam/image_array", "user/angle", "user/throttle"], ["image_array", "float", "float"]
    lines = [inputs, types, {}, {"created_at": 1.0, "sessions": {}}, catalogs]
    (folder / "manifest.json").write_text("\r\n".join(json.dumps(line) for line in lines) + "\r\n", newline="")
    return folder
