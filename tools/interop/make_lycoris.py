"""Writes adapters that LyCORIS makes on the model of make_model.py: LoKr, LoHa and LoCon, with random weights.

    python tools/interop/make_lycoris.py OUT     (needs: torch diffusers lycoris-lora; does nothing without LyCORIS)
"""

import sys
from pathlib import Path

import torch
from diffusers import SanaTransformer2DModel
from safetensors.torch import save_file

try:
    from lycoris import LycorisNetwork, create_lycoris
except ImportError:
    print("LyCORIS is not installed: its adapters are left out")
    sys.exit()

out = Path(sys.argv[1])
(out / "lycoris").mkdir(exist_ok=True)
kinds = {
    "lokr-factor4": dict(algo="lokr", linear_dim=2, linear_alpha=1, factor=4),
    "lokr-full": dict(algo="lokr", linear_dim=10000, linear_alpha=1, factor=8),
    "lokr-both": dict(algo="lokr", linear_dim=1, linear_alpha=3, factor=4, decompose_both=True),
    "loha": dict(algo="loha", linear_dim=3, linear_alpha=6),
    "loha-rank1": dict(algo="loha", linear_dim=1, linear_alpha=1),
    "locon": dict(algo="lora", linear_dim=4, linear_alpha=2),
    "dora": dict(algo="lora", linear_dim=4, linear_alpha=2, weight_decompose=True, wd_on_output=True),
}
for name, options in kinds.items():
    torch.manual_seed(len(name))
    model = SanaTransformer2DModel.from_pretrained(out / "transformer").eval()
    LycorisNetwork.apply_preset({"enable_conv": False, "target_module": ["Attention"], "target_name": []})
    network = create_lycoris(model, 1.0, **options)
    network.apply_to()
    state = {}
    for key, value in network.state_dict().items():
        trained = value.is_floating_point() and value.ndim > 1 and "dora_scale" not in key
        state[key] = (0.3 * torch.randn_like(value) if trained else value).contiguous()
    save_file(state, out / "lycoris" / f"{name}.safetensors")
    print(f"  LyCORIS wrote {name}: {len(state)} tensors, such as {sorted(state)[0]}")
