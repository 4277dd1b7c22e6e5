"""Loads each adapter that make_lycoris.py wrote with LyCORIS and compares the transformer's output with this project's.

    python tools/interop/check_lycoris.py OUT     (needs: torch diffusers lycoris-lora; passes without LyCORIS)

The adapters are applied as in training. LyCORIS 4.1.3's merge_to multiplies LoHa and LoKr by alpha / rank twice
(modules/loha.py, get_diff_weight around get_weight), so that what it merges is not what it trains; ComfyUI, and this
project, multiply once.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import torch
from diffusers import SanaTransformer2DModel
from safetensors.torch import load_file

try:
    from lycoris import create_lycoris_from_weights
except ImportError:
    print("LyCORIS is not installed: not checked")
    sys.exit()

TOLERANCE = 1e-3

out = Path(sys.argv[1])
inputs = load_file(out / "inputs.safetensors")
base = inputs.pop("sample")
expected = load_file(out / "lycoris-expected.safetensors")
failed = 0
print(f"lycoris {version('lycoris-lora')}")
for file in sorted((out / "lycoris").glob("*.safetensors")):
    model = SanaTransformer2DModel.from_pretrained(out / "transformer").eval()
    network, _ = create_lycoris_from_weights(1.0, str(file), model)
    network.apply_to()
    with torch.no_grad():
        got = model(**inputs, return_dict=False)[0]
    want = expected[file.stem]
    scale = got.abs().max()
    error = ((got - want).abs().max() / scale).item()
    effect = ((got - base).abs().max() / scale).item()
    ok = error <= TOLERANCE and effect > 0.01
    failed += not ok
    print(f"  {file.stem:40} error {error:.1e}  effect {effect:.2f}  {'pass' if ok else 'FAIL'}")
sys.exit(failed > 0)
