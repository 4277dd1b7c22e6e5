"""Writes test/parity/goldens/VARIANT: the reference cases that the tests run, of one seed each.

    python tools/goldens/parity_cases.py MAKE_CASES.py     (needs what make_cases.py needs)

make_cases.py is the reference's script (see docs/parity.md). Of the second variant, what only repeats the first is
left out.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "test/parity/goldens"

# variant: seed, kinds and beginnings of names that are left out
CASES = {
    "plain": (0, set(), ()),
    "affine": (1, {"solver"}, ("lora_attention_r4_a4_rslora_train", "lora_attention_r4_a4_train", "lora_attention_r4_a4_sample")),
}

for variant, (seed, kinds, names) in CASES.items():
    out = FOLDER / variant
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([sys.executable, sys.argv[1], str(out), "--variant", variant, "--seed", str(seed)], check=True)
    entries = json.loads((out / "cases.json").read_text())
    kept = [e for e in entries if e["kind"] not in kinds and not e["name"].startswith(names or ("-",))]
    (out / "cases.json").write_text(json.dumps(kept, indent=1) + "\n")
    used = {"cases.json"}
    for e in kept:
        used |= {e["expected"], e.get("inputs"), e["params"].get("adapter")}
    for file in out.iterdir():
        if file.is_file() and file.name not in used:
            file.unlink()
    for file in out.rglob("*.*"):
        file.chmod(0o644)  # safetensors writes them for the owner alone
    print(f"{len(kept)} cases in {out}")
