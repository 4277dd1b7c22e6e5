"""Reads a run's TensorBoard files with TensorBoard's own reader: python check_tensorboard.py RUN. Needs tensorboard."""

import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(str(Path(sys.argv[1]) / "tensorboard"), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
events.Reload()
tags = events.Tags()
for tag in tags["scalars"]:
    values = events.Scalars(tag)
    print(f"{tag}: {len(values)} values, step {values[-1].step} is {values[-1].value:.6g}")
for tag in tags["images"]:
    pictures = events.Images(tag)
    print(f"{tag}: {len(pictures)} pictures, {pictures[-1].width} x {pictures[-1].height}")
for tag in tags["tensors"]:
    print(f"{tag}: {len(events.Tensors(tag)[0].tensor_proto.string_val[0])} characters of text")
assert tags["scalars"] and tags["images"] and tags["tensors"], "scalars, pictures or the config are missing"
