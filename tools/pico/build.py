"""Rebuilds everything of sana-pico from nothing: pictures, models and measurements (which need `npm ci` too).

    pip install -r tools/pico/requirements.txt
    python tools/pico/build.py                 hours on two cores
    python tools/pico/build.py --quick         minutes; proves that every stage runs, not that it learns

Stages run in order, one training at a time, and a stage that is done is skipped. Stop it at any moment and start it again: it
goes on where it was. State (checkpoints with optimizer, latents, logs) lies in .cache/pico, or where PICO_STATE says.
To train a part longer, run its script with more --minutes and then export.py.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from run import STATE

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Stage:
    script: str
    arguments: tuple[str, ...] = ()
    minutes: float | None = None
    done: str | None = None  # a file in the state folder that says that the stage is over


STAGES = [
    Stage("examples.py"),
    Stage("text.py", done="tokenizer/tokenizer.json"),
    Stage("autoencoder.py", minutes=120, done="autoencoder/done"),
    Stage("latents.py", ("--pictures", "16000")),
    Stage("transformer.py", minutes=360, done="transformer/done"),
    Stage("autoencoder.py", ("--decoder-only",), minutes=30, done="autoencoder-decoder/done"),
    Stage("probe.py", minutes=10, done="probe/done"),
    Stage("clip.py", minutes=20, done="clip/done"),
    Stage("captioner.py", ("brief",), minutes=10, done="caption-brief/done"),
    Stage("captioner.py", ("detailed",), minutes=15, done="caption-detailed/done"),
    Stage("export.py"),
]


def main(quick: bool) -> None:
    for stage in STAGES:
        if stage.done and (STATE / stage.done).exists():
            continue
        command = [sys.executable, str(HERE / stage.script), *stage.arguments]
        if stage.minutes:
            command += ["--minutes", "0.2" if quick else str(stage.minutes)]
        if quick and stage.script == "latents.py":
            command[-1] = "1000"
        print(" ".join(command[1:]), flush=True)
        subprocess.run(command, check=True, env={**os.environ, "PICO_STATE": str(STATE)})
    score = ["npm", "run", "pico:score", "--", "--sheet", str(STATE / "score.png")]
    subprocess.run(score + (["--count", "4"] if quick else []), check=True, cwd=HERE.parents[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    main(parser.parse_args().quick)
