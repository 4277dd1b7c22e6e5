"""Loads adapters with LyCORIS and compares the transformer's output with this project's.

    python tools/interop/check_lycoris.py OUT     (needs: torch diffusers lycoris-lora; passes without LyCORIS)

What make_lycoris.py wrote is applied as in training: LyCORIS 4.1.3's merge_to multiplies LoHa and LoKr by alpha / rank
twice (modules/loha.py, get_diff_weight around get_weight), so that what it merges is not what it trains; ComfyUI, and
this project, multiply once. What this project wrote has the scale in its weights and is merged as well.
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
failed = 0
print(f"lycoris {version('lycoris-lora')}")


def output(file, how):
    model = SanaTransformer2DModel.from_pretrained(out / "transformer").eval()
    network, _ = create_lycoris_from_weights(1.0, str(file), model)
    names = {key.split(".")[0] for key in load_file(file)}
    assert len(network.loras) == len(names), f"{len(network.loras)} of {len(names)} layers loaded"
    network.apply_to() if how == "apply" else network.merge_to(1.0)
    with torch.no_grad():
        return model(**inputs, return_dict=False)[0]


for folder, ways in ("lycoris", ["apply"]), ("lycoris-exported", ["apply", "merge"]):
    expected = load_file(out / f"{folder}-expected.safetensors")
    largest = 0.0
    for file in sorted((out / folder).glob("*.safetensors")):
        for how in ways:
            try:
                got = output(file, how)
                want = expected[file.stem]
                scale = got.abs().max()
                error = ((got - want).abs().max() / scale).item()
                effect = ((got - base).abs().max() / scale).item()
                problem = "it changes nothing" if effect < 0.01 else ""
            except Exception as exception:  # what a client does with the file is what is asked
                error, effect, problem = float("nan"), float("nan"), f"{type(exception).__name__}: {exception}"
            ok = error <= TOLERANCE and not problem
            failed += not ok
            largest = max(largest, error) if ok else largest
            print(f"  {file.stem:40} {how}  error {error:.1e}  effect {effect:.2f}  {'pass' if ok else 'FAIL ' + problem[:300]}")
    print(f"{folder}: largest error {largest:.1e} of the largest value")
print(f"{failed} failed")
sys.exit(failed > 0)
