"""Loads each adapter of a folder with SanaPipeline.load_lora_weights and compares the transformer's output.

    python tools/interop/check_diffusers.py OUT     (needs: torch diffusers transformers peft)

OUT is what tools/interop/main.ts wrote: transformer/, inputs.safetensors, adapters/NAME.safetensors, and in
expected.safetensors what this project computes with each. A line an adapter; exits 1 if one is further than 1e-3 off,
changes nothing, or leaves a warning.
"""

import logging
import sys
import warnings
from pathlib import Path

import diffusers
import peft
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SanaPipeline, SanaTransformer2DModel
from safetensors.torch import load_file

TOLERANCE = 1e-3

warnings.filterwarnings("ignore")
out = Path(sys.argv[1])
model = SanaTransformer2DModel.from_pretrained(out / "transformer").eval()
pipe = SanaPipeline(tokenizer=None, text_encoder=None, vae=None, transformer=model,
                    scheduler=FlowMatchEulerDiscreteScheduler())
inputs = load_file(out / "inputs.safetensors")
base = inputs.pop("sample")
expected = load_file(out / "expected.safetensors")

messages = []


class Keep(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())


for name in ("diffusers", "peft"):
    logging.getLogger(name).addHandler(Keep(level=logging.WARNING))

failed = 0
largest = 0.0
print(f"diffusers {diffusers.__version__}, peft {peft.__version__}, torch {torch.__version__}")
for file in sorted((out / "adapters").glob("*.safetensors")):
    messages.clear()
    want = expected[file.stem]
    try:
        pipe.load_lora_weights(out / "adapters", weight_name=file.name)
        with torch.no_grad():
            got = model(**inputs, return_dict=False)[0]
        pipe.unload_lora_weights()
        scale = want.abs().max()
        error = ((got - want).abs().max() / scale).item()
        effect = ((want - base).abs().max() / scale).item()
        problem = "; ".join(messages) or ("it changes nothing" if effect < 0.01 else "")
    except Exception as exception:  # what a client does with the file is what is asked
        error, effect, problem = float("nan"), float("nan"), f"{type(exception).__name__}: {exception}"
    ok = error <= TOLERANCE and not problem
    failed += not ok
    largest = max(largest, error) if ok else largest
    print(f"  {file.stem:40} error {error:.1e}  effect {effect:.2f}  {'pass' if ok else 'FAIL  ' + problem[:300]}")
print(f"{failed} failed, largest error of the others {largest:.1e} of the largest value")
sys.exit(failed > 0)
