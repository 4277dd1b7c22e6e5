"""Muon for matrices and convolutions, Adam for the rest.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) orthogonalises the momentum of a weight matrix with five
Newton-Schulz iterations. Steps are scaled by 0.2 sqrt(max(rows, columns)) so that one learning rate serves both halves
(Liu et al. 2025, arXiv 2502.16982). Equal shapes are stacked: on a CPU the small products cost more in overhead than in arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], lr: float, *, weight_decay: float = 0.0, momentum: float = 0.95,
                 betas: tuple[float, float] = (0.9, 0.99), not_muon: tuple[str, ...] = ()):
        matrices, others = [], []
        for name, p in named:
            if not p.requires_grad:
                continue
            is_matrix = p.ndim >= 2 and p.shape[0] >= 8 and p[0].numel() >= 24 and not any(word in name for word in not_muon)
            (matrices if is_matrix else others).append(p)
        groups = [dict(params=matrices, muon=True, lr=lr, base=lr, t=0), dict(params=others, muon=False, lr=lr, base=lr, t=0)]
        super().__init__([g for g in groups if g["params"]], {})
        self.weight_decay, self.momentum, self.betas = weight_decay, momentum, betas

    def set_scale(self, scale: float) -> None:
        """Learning rates become `scale` times what they were made with."""
        for group in self.param_groups:
            group["lr"] = group["base"] * scale

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            group["t"] += 1
            (self._muon if group["muon"] else self._adam)(group)

    def _muon(self, group: dict) -> None:
        by_shape: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["m"] = torch.zeros_like(p)
            state["m"].lerp_(p.grad, 1 - self.momentum)
            update = p.grad.lerp(state["m"], self.momentum).reshape(p.shape[0], -1)
            by_shape.setdefault(tuple(update.shape), []).append((p, update))
        for shape, members in by_shape.items():
            updates = orthogonal(torch.stack([u for _, u in members]))
            step = group["lr"] * 0.2 * max(shape) ** 0.5
            for (p, _), update in zip(members, updates):
                p.mul_(1 - group["lr"] * self.weight_decay)
                p.add_(update.reshape(p.shape).to(p.dtype), alpha=-step)

    def _adam(self, group: dict) -> None:
        b1, b2 = self.betas
        t = group["t"]
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
            state["m"].lerp_(p.grad, 1 - b1)
            state["v"].lerp_(p.grad * p.grad, 1 - b2)
            p.addcdiv_(state["m"] / (1 - b1**t), (state["v"] / (1 - b2**t)).sqrt() + 1e-8, value=-group["lr"])


def orthogonal(matrices: Tensor) -> Tensor:
    """About U V^T of each matrix's singular value decomposition. [n, rows, columns]"""
    a, b, c = NEWTON_SCHULZ
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) + 1e-9).bfloat16()
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()
