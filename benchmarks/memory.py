"""The memory of a whole training run: does it grow with the data?

python benchmarks/memory.py --data ../shared/data

`causeway train` from nothing (decode, cache, train, test) on one lap and on all of donkey_sim at 120x160, watched from
outside. BUDGET is the memory granted to cached frames: the larger cache is three times that. The last row is held by
the kernel (RLIMIT_DATA) to what the small run needed and BUDGET, and would die with its frames in memory.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BUDGET = 231 << 20
EXPERIMENT = """
picture = { height = 120, width = 160 }
method = { name = "imitation", batch = 32, target_weight = 0.0, policy = { name = "cnn", channels = [8, 16, 16] } }
train = { steps = 200, threads = 1, checks = 2, accelerator = "cpu" }
source = { dataset = { name = "donkey", root = "{data}/donkey_sim", select = "SELECT" }, held_out = 0.0, tune = 0.02 }
target = { dataset = { name = "donkey", root = "{data}/donkey_real", select = "t1" }, limit = 0 }
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds donkey_sim and donkey_real")
    data = parser.parse_args().data
    print("| source | its cache, MB | limit, MB | peak anonymous, MB | peak mapped from files, MB | seconds |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        small = train(data, "lap_001", Path(folder) / "small")
        train(data, "", Path(folder) / "large")
        train(data, "", Path(folder) / "held", small["VmData"] + BUDGET)


def train(data: Path, select: str, folder: Path, limit: int = 0) -> dict[str, int]:
    folder.mkdir()
    file = folder / "memory.toml"
    file.write_text(EXPERIMENT.replace("SELECT", select))
    command = [sys.executable, "-m", "causeway", "train", str(file), "--data", str(data)]
    command += ["--folder", str(folder / "run"), "--cache", str(folder / "cache")]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=limiter(limit) if limit else None)
    peak = {"RssAnon": 0, "RssFile": 0, "VmData": 0}
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            name, *value = line.replace(":", "").split()
            if name in peak:
                peak[name] = max(peak[name], int(value[0]) * 1024)
        time.sleep(0.02)
    cache = max(path.stat().st_size for path in (folder / "cache").glob("*.frames"))
    numbers = [cache, limit, peak["RssAnon"], peak["RssFile"]]
    cells = " | ".join(f"{number / 2**20:,.0f}" if number else "none" for number in numbers)
    ended = "" if process.returncode == 0 else f" (died with code {process.returncode})"
    print(f"| {select or 'all laps'} | {cells} | {time.perf_counter() - started:.0f}{ended} |", flush=True)
    return peak


def limiter(limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    main()
