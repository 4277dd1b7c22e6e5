#!/usr/bin/env python3
"""Writes test/unit/io/goldens/dtypes.safetensors with the safetensors library: every dtype that this project reads.

    pip install torch safetensors
    python tools/goldens/all_dtypes.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "test/unit/io/goldens/dtypes.safetensors"
DTYPES = {
    "f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16,
    "i64": torch.int64, "i32": torch.int32, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool,
}

tensors = {name: torch.tensor([[1, 0, 3], [4, 5, 100]]).to(dtype) for name, dtype in DTYPES.items()}
tensors["b.scalar"] = torch.tensor(-2.5)
tensors["a.empty"] = torch.zeros(0, 4)
tensors["ü ▁ 🙂"] = torch.tensor([1.5])
OUT.parent.mkdir(parents=True, exist_ok=True)
save_file(tensors, OUT, metadata={"format": "pt"})
