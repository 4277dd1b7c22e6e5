"""What every training of tools/pico shares: where its state lies, how long it has trained, when to save, what it reached when.

A training is measured in minutes of training, not in steps: the machine is small, and a plan in minutes is one that ends.
The clock, the weights, the optimizer and the position are in one checkpoint, written to a temporary name and renamed, so
that a run can be stopped at any moment and goes on where it was.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch

STATE = Path(os.environ.get("PICO_STATE", Path(__file__).resolve().parents[2] / ".cache" / "pico"))
REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_STEP_S = 20.0  # a longer step means that the process was paused; the pause is not training


THREADS = int(os.environ.get("PICO_THREADS", "2"))


def use_two_threads() -> None:
    """For work without a Run; with one, its ThreadChooser decides."""
    torch.set_num_threads(THREADS)


class ThreadChooser:
    """All threads or one, whichever takes steps faster just now.

    On a machine that others use too, threads wait for each other at every operation, and one alone can be ten times as fast.
    So one begins; every `PERIOD` steps the other count is tried for `TRIAL` steps.
    """

    PERIOD, TRIAL = 40, 4

    def __init__(self) -> None:
        self.counts = [1, THREADS]
        self.times: list[list[float]] = [[], []]
        self.switch_to(0, trying=False)

    def tick(self, seconds: float) -> None:
        if THREADS == 1:
            return
        self.times[self.current].append(seconds)
        self.steps += 1
        if self.trying and self.steps == self.TRIAL:
            typical = [sorted(times[-self.TRIAL :])[len(times[-self.TRIAL :]) // 2] for times in self.times]
            self.switch_to(0 if typical[0] <= typical[1] else 1, trying=False)
        elif not self.trying and self.steps == self.PERIOD:
            self.switch_to(1 - self.current, trying=True)

    def switch_to(self, which: int, trying: bool) -> None:
        self.current, self.steps, self.trying = which, 0, trying
        torch.set_num_threads(self.counts[which])


class Run:
    """The clock, log and checkpoint of one part's training."""

    def __init__(self, name: str, minutes: float, save_every_s: float = 180):
        self.folder = STATE / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name, self.minutes, self.save_every_s = name, minutes, save_every_s
        self.seconds = 0.0
        self.step = 0
        self._tick = self._saved = time.monotonic()
        self.threads = ThreadChooser()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the planned minutes are over."""
        return min(1.0, self.seconds / (60 * self.minutes))

    def resume(self) -> dict | None:
        """The saved state, if there is one, after setting the clock to it."""
        if not self.checkpoint.exists():
            return None
        state = torch.load(self.checkpoint, weights_only=False)
        self.seconds, self.step = state["seconds"], state["step"]
        self.log(event="resumed")
        return state

    def tick(self) -> None:
        """Call once a step."""
        now = time.monotonic()
        self.seconds += min(now - self._tick, LONGEST_STEP_S)
        self.threads.tick(now - self._tick)
        self._tick = now
        self.step += 1

    def untimed(self) -> None:
        """Call after measuring or saving: that time was not training."""
        self._tick = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._saved > self.save_every_s

    def save(self, **state: object) -> None:
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(dict(state, seconds=self.seconds, step=self.step), temporary)
        os.replace(temporary, self.checkpoint)
        self._saved = time.monotonic()
        self.untimed()

    def log(self, **values: object) -> None:
        """One JSON line to the log and the screen: minutes trained, steps, and what was reached."""
        values = {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}
        line = json.dumps({"at": time.strftime("%H:%M:%S"), "minutes": round(self.seconds / 60, 2), "step": self.step, "threads": torch.get_num_threads(), **values})
        with open(self.folder / "log.jsonl", "a") as file:
            file.write(line + "\n")
        print(self.name, line, flush=True)

    def done_file(self) -> Path:
        return self.folder / "done"


def warmup_then_decay(run: Run, *, warmup_steps: int, hold: float) -> float:
    """Linear warm-up, flat until `hold` of the plan, then linear to zero."""
    if run.step < warmup_steps:
        return (run.step + 1) / warmup_steps
    return 1.0 if run.progress < hold else max(0.0, (1 - run.progress) / (1 - hold))
