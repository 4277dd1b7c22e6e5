"""Writes test/unit/optim/goldens/optimizers.json: six steps of every optimizer on recorded gradients, as PyTorch,
transformers and prodigyopt compute them. CAME and Lion are in none of these; they are written here from their papers
(arXiv 2307.02047 algorithm 2, arXiv 2302.06675 algorithm 2), CAME with the shapes that NVlabs/Sana factors.

    python tools/goldens/optimizers.py     (needs: torch transformers prodigyopt)
"""

import json
from pathlib import Path

import prodigyopt
import torch
from transformers.optimization import Adafactor

STEPS = 6
SHAPES = {"matrix": [3, 4], "vector": [5], "conv": [4, 3, 1, 1]}


class Lion:
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        self.groups, self.betas, self.decay = [dict(params=params, lr=lr)], betas, weight_decay
        self.means = [torch.zeros_like(p) for p in params]

    param_groups = property(lambda self: self.groups)

    def step(self):
        lr, (b1, b2) = self.groups[0]["lr"], self.betas
        for p, m in zip(self.groups[0]["params"], self.means):
            direction = torch.sign(b1 * m + (1 - b1) * p.grad)
            p.data = p.data - lr * (direction + self.decay * p.data)
            m.copy_(b2 * m + (1 - b2) * p.grad)


class Came:
    def __init__(self, params, lr, betas=(0.9, 0.999, 0.9999), eps=(1e-30, 1e-16), clip=1.0, weight_decay=0.0):
        self.groups, self.betas, self.eps, self.clip, self.decay = [dict(params=params, lr=lr)], betas, eps, clip, weight_decay
        self.states = [{} for _ in params]

    param_groups = property(lambda self: self.groups)

    @staticmethod
    def average(state, key, value, beta):
        state[key] = beta * state.get(key, torch.zeros_like(value)) + (1 - beta) * value
        return state[key]

    def root(self, state, key, value, beta):
        """1 / sqrt of the factored estimate of the running mean of a matrix: R C / sum(R) of row and column sums."""
        rows = self.average(state, key + "_row", value.mean(1), beta)
        columns = self.average(state, key + "_col", value.mean(0), beta)
        return torch.rsqrt(torch.outer(rows, columns) / rows.mean())

    def step(self):
        lr, (b1, b2, b3) = self.groups[0]["lr"], self.betas
        for p, state in zip(self.groups[0]["params"], self.states):
            g = p.grad
            factored = g.ndim == 2 or (g.ndim == 4 and g.shape[2:] == (1, 1))
            if factored:
                g = g.reshape(g.shape[0], g.shape[1])
                u = g * self.root(state, "sq", g**2 + self.eps[0], b2)
            else:
                u = g * torch.rsqrt(self.average(state, "sq", g**2 + self.eps[0], b2))
            u = u / max(1.0, (u.square().mean().sqrt() / self.clip).item())
            m = self.average(state, "mean", u, b1)
            if factored:
                m = m * self.root(state, "res", (u - m) ** 2 + self.eps[1], b3)
            p.data = p.data * (1 - self.decay * lr) - lr * m.reshape(p.shape)


def run(make, start, grads, lrs):
    params = [torch.nn.Parameter(start[k].clone()) for k in SHAPES]
    optimizer = make(params)
    path = []
    for step in range(STEPS):
        for p, key in zip(params, SHAPES):
            p.grad = grads[key][step].clone()
        for group in optimizer.param_groups:
            group["lr"] = lrs[step]
        optimizer.step()
        path.append([round(x, 9) for p in params for x in p.detach().flatten().tolist()])
    return path


def main():
    torch.manual_seed(0)
    start = {k: torch.randn(s) for k, s in SHAPES.items()}
    start["conv"].zero_()  # as lora_B starts
    scale = torch.tensor([1.0, 1e-3, 3.0, 0.0, 0.2, 1.0])  # a step without gradient and others of very different size
    grads = {k: torch.randn(STEPS, *s) * scale.view(-1, *[1] * len(s)) for k, s in SHAPES.items()}
    warm = [0.0, 5e-3, 1e-2, 1e-2, 5e-3, 1e-3]
    unit = [0.0, 0.5, 1.0, 1.0, 0.5, 0.1]
    cases = []

    def add(name, options, lrs, make):
        cases.append(dict(options=dict(name=name, **options), lrs=lrs, path=run(make, start, grads, lrs)))

    add("adamw", {}, warm, lambda p: torch.optim.AdamW(p, lr=1.0))
    add("adamw", dict(betas=[0.8, 0.95], eps=1e-6, weightDecay=0.3), warm,
        lambda p: torch.optim.AdamW(p, lr=1.0, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.3))
    add("prodigy", {}, unit, lambda p: prodigyopt.Prodigy(p))
    add("prodigy", dict(weightDecay=0.1, decouple=False, growthRate=1.5, dCoef=2.0, d0=1e-3), unit,
        lambda p: prodigyopt.Prodigy(p, weight_decay=0.1, decouple=False, growth_rate=1.5, d_coef=2.0, d0=1e-3))
    add("prodigy", dict(weightDecay=0.1, useBiasCorrection=True, safeguardWarmup=True, beta3=0.9, d0=1e-3), unit,
        lambda p: prodigyopt.Prodigy(p, weight_decay=0.1, use_bias_correction=True, safeguard_warmup=True, beta3=0.9, d0=1e-3))
    add("lion", {}, warm, lambda p: Lion(p, lr=1.0))
    add("lion", dict(betas=[0.5, 0.8], weightDecay=0.2), warm, lambda p: Lion(p, 1.0, (0.5, 0.8), 0.2))
    add("came", {}, warm, lambda p: Came(p, lr=1.0))
    add("came", dict(betas=[0.7, 0.9, 0.95], eps=[1e-20, 1e-8], clipThreshold=0.5, weightDecay=0.2), warm,
        lambda p: Came(p, 1.0, (0.7, 0.9, 0.95), (1e-20, 1e-8), 0.5, 0.2))
    plain = dict(scale_parameter=False, relative_step=False)
    add("adafactor", {}, warm, lambda p: Adafactor(p, lr=1.0, **plain))
    add("adafactor", dict(beta1=0.8, weightDecay=0.2, clipThreshold=0.5, decayRate=-0.5), warm,
        lambda p: Adafactor(p, lr=1.0, beta1=0.8, weight_decay=0.2, clip_threshold=0.5, decay_rate=-0.5, **plain))
    add("adafactor", dict(scaleParameter=True, relativeStep=True), warm, lambda p: Adafactor(p))
    add("adafactor", dict(scaleParameter=True, relativeStep=True, warmupInit=True, beta1=0.9), warm,
        lambda p: Adafactor(p, warmup_init=True, beta1=0.9))

    clips = []
    for max_norm in [0.05, 1.0, 1e3]:
        params = [torch.nn.Parameter(start[k].clone()) for k in SHAPES]
        for p, key in zip(params, SHAPES):
            p.grad = grads[key][2].clone()
        norm = torch.nn.utils.clip_grad_norm_(params, max_norm).item()
        clips.append(dict(maxNorm=max_norm, norm=norm, grads=[x for p in params for x in p.grad.flatten().tolist()]))

    golden = dict(shapes=SHAPES, start={k: v.flatten().tolist() for k, v in start.items()},
                  grads={k: [step.flatten().tolist() for step in v] for k, v in grads.items()}, cases=cases, clips=clips)
    out = Path(__file__).parents[2] / "test/unit/optim/goldens/optimizers.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
