"""Writes test/unit/samplers/goldens/solvers.json: paths of diffusers' solvers for the options that Sana's checkpoints
do not use by themselves (other orders, heun, very few steps).

    python tools/goldens/solvers.py     (needs: torch diffusers)
"""

import json
from pathlib import Path

import torch
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

FLOW = dict(prediction_type="flow_prediction", use_flow_sigmas=True)
CASES = [
    dict(steps=6, flow_shift=3.0, solver_order=1),
    dict(steps=7, flow_shift=4.0, solver_order=2, solver_type="heun"),
    dict(steps=8, flow_shift=3.0, solver_order=3),
    dict(steps=16, flow_shift=1.0, solver_order=3),
    dict(steps=8, flow_shift=3.0, solver_order=3, lower_order_final=False),
    dict(steps=1, flow_shift=3.0),
    dict(steps=2, flow_shift=3.0),
    dict(steps=50, flow_shift=6.0),
    dict(steps=1, shift=3.0),
    dict(steps=5, shift=4.0),
    dict(unipc=True, steps=14, flow_shift=3.0),
    dict(unipc=True, steps=9, flow_shift=3.0, solver_type="bh1"),
    dict(unipc=True, steps=8, flow_shift=4.0, solver_order=3),
    dict(unipc=True, steps=16, flow_shift=1.0, solver_order=3, solver_type="bh1"),
    dict(unipc=True, steps=5, flow_shift=3.0, solver_order=1),
    dict(unipc=True, steps=2, flow_shift=3.0),
    dict(unipc=True, steps=1, flow_shift=3.0),
]


def scheduler(unipc=False, **options):
    if "shift" in options:
        return FlowMatchEulerDiscreteScheduler(**options)
    return (UniPCMultistepScheduler if unipc else DPMSolverMultistepScheduler)(**FLOW, **options)


def main():
    start = torch.tensor([-1.5, -0.2, 0.4, 2.0])
    cases = []
    for case in CASES:
        options = {k: v for k, v in case.items() if k != "steps"}
        s = scheduler(**options)
        s.set_timesteps(case["steps"])
        x, path = start.view(1, -1), []  # UniPC wants a batch axis
        for i, t in enumerate(s.timesteps):
            x = s.step(torch.sin(2 * x) * (1 - s.sigmas[i]) + 0.3 * x * s.sigmas[i] - 0.2, t, x, return_dict=False)[0]
            if x.isnan().any():
                break  # bh1's last step, to sigma 0, is infinity times zero in diffusers
            path.append(x.flatten().tolist())
        config = {k: (None if isinstance(v, float) and abs(v) == float("inf") else v) for k, v in s.config.items()}
        cases.append(dict(config={**config, "_class_name": type(s).__name__}, steps=case["steps"],
                          timesteps=s.timesteps.tolist(), sigmas=s.sigmas.tolist(), path=path))
    out = Path(__file__).parents[2] / "test/unit/samplers/goldens/solvers.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(dict(start=start.tolist(), cases=cases)) + "\n")


if __name__ == "__main__":
    main()
