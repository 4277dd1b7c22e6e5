"""Trains the probe: a small convolutional network that reads a picture's scene. It measures; nothing is trained with it.

    python tools/pico/probe.py [--minutes 6]

models/probe-pico/probe.onnx takes `pixel_values` [B, 3, H, W] in [-1, 1], H and W multiples of 32 (256 is what it was made
for), and gives one row of logits [B, n] for each head; probe.json names the heads and their classes, in order.
"""

from __future__ import annotations

import argparse
import json
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pictures
from onnx_files import export
from run import REPOSITORY, Run, use_two_threads, warmup_then_decay

CHANNELS = (3, 24, 48, 96, 144, 192)
PICTURES, HELD_OUT = 14_000, 1_000
HEAD_WEIGHTS = {"pattern": 3.0}  # the finest detail of all, learned last


class Probe(nn.Module):
    """Halves the picture, then five convolutions of stride 2; what is anywhere (maximum) and how much of it (mean)."""

    def __init__(self) -> None:
        super().__init__()
        stages = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for a, b in zip(CHANNELS, CHANNELS[1:])]
        self.stages = nn.Sequential(*stages)
        self.hidden = nn.Linear(2 * CHANNELS[-1] + 16 * 32, 256)
        self.narrow = nn.Conv2d(CHANNELS[-1], 32, 1)
        self.heads = nn.ModuleDict({head: nn.Linear(256, len(names)) for head, names in pictures.HEADS.items()})

    def read(self, half: Tensor) -> dict[str, Tensor]:
        """Logits from pictures of half size, as pictures.py makes them."""
        x = self.stages(half)
        where = F.interpolate(self.narrow(x), size=(4, 4), mode="bilinear", align_corners=False)
        h = F.relu(self.hidden(torch.cat([x.amax((2, 3)), x.mean((2, 3)), where.flatten(1)], 1)))
        h = F.dropout(h, 0.1, self.training)
        return {head: layer(h) for head, layer in self.heads.items()}

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.read(F.avg_pool2d(pixel_values, 2)).values())


def accuracy(probe: Probe, x: Tensor, y: Tensor) -> dict[str, float]:
    probe.eval()
    with torch.no_grad():
        out = [probe.read(part) for part in x.split(128)]
    probe.train()
    result = {}
    for k, head in enumerate(pictures.HEADS):
        known = y[:, k] != pictures.UNKNOWN
        result[head] = (torch.cat([o[head] for o in out]).argmax(1) == y[:, k])[known].float().mean().item()
    return result


def train(minutes: float, batch_size: int) -> None:
    run = Run("probe", minutes, save_every_s=120)
    torch.manual_seed(0)
    scenes, data = pictures.load("probe", PICTURES)
    targets = torch.tensor([pictures.labels(s) for s in scenes])
    probe = Probe().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(probe.parameters(), lr=4e-3, weight_decay=0.02)
    if state := run.resume():
        probe.load_state_dict(state["probe"])
        optimizer.load_state_dict(state["optimizer"])
    rng = random.Random(f"probe/{run.step}")
    held_out_x, held_out_y = pictures.to_model(data[-HELD_OUT:]), targets[-HELD_OUT:]
    run.untimed()
    while run.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * max(0.01, warmup_then_decay(run, warmup_steps=50, hold=0.2))
        chosen = sorted(rng.sample(range(PICTURES - HELD_OUT), batch_size))
        x = pictures.disturbed(pictures.to_model(data[chosen]), rng).contiguous(memory_format=torch.channels_last)
        y = targets[chosen]
        out = probe.read(x)
        loss = sum(HEAD_WEIGHTS.get(head, 1.0) * F.cross_entropy(out[head], y[:, k]) for k, head in enumerate(pictures.HEADS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.tick()
        if run.due():
            run.log(loss=loss.item(), **accuracy(probe, held_out_x, held_out_y))
            run.save(probe=probe.state_dict(), optimizer=optimizer.state_dict())
    run.log(event="finished", **accuracy(probe, held_out_x, held_out_y))
    run.save(probe=probe.state_dict(), optimizer=optimizer.state_dict())
    write(probe)
    run.done_file().touch()


def write(probe: Probe) -> None:
    folder = REPOSITORY / "models" / "probe-pico"
    axes = {"pixel_values": {0: "batch", 2: "height", 3: "width"}} | {head: {0: "batch"} for head in pictures.HEADS}
    export(probe.to(memory_format=torch.contiguous_format), {"pixel_values": torch.zeros(2, 3, 256, 256)}, list(pictures.HEADS), axes, folder / "probe.onnx")
    (folder / "probe.json").write_text(json.dumps({"input": "pixel_values", "range": [-1, 1], "size": 256, "heads": pictures.HEADS}, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args()
    use_two_threads()
    train(options.minutes, options.batch_size)
