"""The small transformers behind clip-pico and the captioners. Plain operations only, so that every runtime can run the export."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention of x [B, T, C] to `context` [B, S, C]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, T, head_dim]

    def keys_and_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        return self.split(self.k(context)), self.split(self.v(context))

    def forward(self, x: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        scores = self.split(self.q(x)) @ k.transpose(-1, -2) * k.shape[-1] ** -0.5
        if mask is not None:
            scores = scores + mask
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm self-attention, cross-attention if asked for, and a two-fold MLP."""

    def __init__(self, width: int, heads: int, cross: bool = False):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm_cross, self.cross = (nn.LayerNorm(width), Attention(width, heads)) if cross else (None, None)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None, context: Tensor | None = None,
                past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h = self.norm1(x)
        k, v = self.attention.keys_and_values(h)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        x = x + self.attention(h, k, v, mask)
        if self.cross is not None:
            x = x + self.cross(self.norm_cross(x), *self.cross.keys_and_values(context))
        return x + self.down(F.gelu(self.up(self.norm2(x)))), (k, v)


class ImageEncoder(nn.Module):
    """128 px pictures [B, 3, 128, 128] to 64 tokens [B, 64, C]: four convolutions down to 8 x 8, then blocks.

    The convolutions learn colours and shapes in a few hundred steps; patches and attention alone needed thousands.
    """

    def __init__(self, width: int, layers: int, heads: int = 4):
        super().__init__()
        channels = (3, 24, 48, 96, width)
        self.stem = nn.Sequential(*(nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                                    for a, b in zip(channels, channels[1:])))
        self.position = nn.Parameter(torch.randn(1, 64, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.stem(pixels).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x)


class TextDecoder(nn.Module):
    """A causal language model that may look at a picture's tokens."""

    def __init__(self, vocabulary: int, width: int, layers: int, longest: int, heads: int = 4, cross: bool = True):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(longest, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, heads, cross) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids: Tensor, context: Tensor | None = None, past: list[tuple[Tensor, Tensor]] | None = None) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Hidden states [B, T, C] and each block's keys and values [B, heads, past + T, head_dim]."""
        before = past[0][0].shape[2] if past else 0
        positions = torch.arange(ids.shape[1], device=ids.device) + before
        visible = torch.arange(before + ids.shape[1], device=ids.device)[None] <= positions[:, None]
        mask = torch.where(visible, 0.0, -1e4)
        x = self.embedding(ids) + self.position(positions)
        present = []
        for k, block in enumerate(self.blocks):
            x, kv = block(x, mask, context, past[k] if past else None)
            present.append(kv)
        return self.norm(x), present

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.embedding.weight.T
