"""Writes test/unit/lora/goldens/patterns.json: which key of a rank_pattern peft takes for a module.

    python tools/goldens/peft_patterns.py     (needs: peft)
"""

import json
from pathlib import Path

from peft.utils.other import get_pattern_key

NAMES = [f"transformer_blocks.{layer}.{module}" for layer in (1, 11) for module in
         ("attn1.to_q", "attn1.to_out.0", "attn2.to_q", "attn2.to_k", "ff.conv_inverted", "ff.conv_point")] + ["proj_out"]
KEYS = [
    ["to_q"], ["q"], ["attn1.to_q"], ["attn1"], ["1.attn1.to_q"], ["transformer_blocks.1.attn1.to_q"], ["to.q"], ["0"],
    ["to_k", "to_q"], ["attn2.to_q", "to_q"], ["to_q", "attn2.to_q"], ["to_[qk]"], ["to_q|to_k"], ["(attn1|attn2).to_q"],
    [".*"], [".*attn2.*"], ["attn2\\..*"], ["^transformer_blocks.*"], ["^attn1.to_q"], ["blocks\\.\\d+\\.ff.*"],
    ["transformer_blocks\\.1\\..*"], ["proj_out$"], ["pro.?j_out"], ["conv_(inverted|point)"], ["^proj_out"], [".*_out"],
    ["[^.]+"], ["(?:to_out)\\.0"], [""], ["proj.out.*", "to_q"],
]

rows = []
for keys in KEYS:
    for name in NAMES:
        found = get_pattern_key(keys, name)
        if found in keys:
            rows.append([keys, name, keys.index(found)])
golden = dict(names=NAMES, patterns=KEYS, matches=rows)
(Path(__file__).parents[2] / "test/unit/lora/goldens/patterns.json").write_text(json.dumps(golden) + "\n")
