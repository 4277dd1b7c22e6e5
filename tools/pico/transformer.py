"""Trains the transformer and the text encoder together, as Sana was trained.

    python tools/pico/transformer.py [--minutes 60] [--warm-start PIPELINE]

u = sigmoid(N(0,1)), rounded down to thousandths; sigma = 3u / (1 + 2u); the target is noise - latents; plain mean squared error.
Captions are left out for one picture in ten. The text encoder must also be able to say which token each of its states stands
for, as a language model can: otherwise it learns that a trigger word means nothing and drops it, and no adapter finds it again.
Most batches stand behind diffusers' CHI, some behind NVlabs' or none, so that
the pipeline works whichever its caller uses. What is exported is the moving average of the weights.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import Gemma2Model

import latents
import world
from autoencoder import SCALING_FACTOR, to_pictures
from grid import save_grid
from optim import Muon
from run import Run, use_two_threads, warmup_then_decay
from text import DIFFUSERS_CHI, NVLABS_CHI, CaptionEncoder, load_tokenizer, make_text_encoder

FLOW_SHIFT = 3.0
CAPTION_DROPOUT = 0.1
SPELLING_WEIGHT = 0.1
CHI_WEIGHTS = {DIFFUSERS_CHI: 0.65, NVLABS_CHI: 0.15, "": 0.2}
NOT_MUON = ("embed_tokens", "patch_embed", "proj_out", "time_embed", "scale_shift", "conv_depth", "norm", "speller")
EMA_HORIZON = 0.04  # the moving average looks back over this share of the steps so far


def make_transformer() -> SanaTransformer2DModel:
    model = SanaTransformer2DModel(
        in_channels=32, out_channels=32, num_attention_heads=8, attention_head_dim=32, num_layers=8, num_cross_attention_heads=4,
        cross_attention_head_dim=64, cross_attention_dim=256, caption_channels=192, mlp_ratio=2.5, sample_size=8, patch_size=1,
        interpolation_scale=1.0)
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.proj_out.bias)
    return model


def make_scheduler() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(use_flow_sigmas=True, flow_shift=FLOW_SHIFT, prediction_type="flow_prediction",
                                       algorithm_type="dpmsolver++", solver_order=2)


def warm_start(folder: Path, text: Gemma2Model, transformer: SanaTransformer2DModel, tokenizer) -> None:
    """Weights of an earlier pipeline of these shapes; embeddings move to the new tokens by their spelling."""
    old = SanaPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    transformer.load_state_dict(old.transformer.state_dict())
    weights = old.text_encoder.state_dict()
    known = old.tokenizer.get_vocab()
    embedding = text.state_dict()["embed_tokens.weight"].clone()
    for piece, k in tokenizer.get_vocab().items():
        if piece in known:
            embedding[k] = weights["embed_tokens.weight"][known[piece]]
    weights["embed_tokens.weight"] = embedding
    text.load_state_dict(weights)


def flow_loss(transformer: SanaTransformer2DModel, clean: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
    """Sana's objective on latents [B, 32, h, w]."""
    u = torch.sigmoid(torch.randn(len(clean)))
    s = torch.floor(1000 * u) / 1000
    sigma = FLOW_SHIFT * s / (1 + (FLOW_SHIFT - 1) * s)
    noise = torch.randn_like(clean)
    at = sigma[:, None, None, None]
    velocity = transformer((1 - at) * clean + at * noise, encoder_hidden_states=hidden, timestep=1000 * sigma, encoder_attention_mask=mask).sample
    return F.mse_loss(velocity.float(), noise - clean)


def spelling_loss(speller: nn.Linear, hidden: Tensor, tokens: Tensor) -> Tensor:
    """Cross-entropy of each caption token [B, T - 1] read from its own hidden state; `hidden` [B, T, C] begins with <bos>."""
    if not tokens.any():
        return hidden.new_zeros(())
    return F.cross_entropy(speller(hidden[:, 1:]).float().flatten(0, 1), tokens.flatten(), ignore_index=0)


@torch.no_grad()
def sample(transformer: SanaTransformer2DModel, hidden: Tensor, mask: Tensor, *, steps: int = 20, guidance: float = 4.5, seed: int = 0,
           size: tuple[int, int] = (8, 8)) -> Tensor:
    """Latents by Flow-DPM-Solver with guidance; the last row of hidden states is the unconditional one."""
    count = len(hidden) - 1
    scheduler = make_scheduler()
    scheduler.set_timesteps(steps)
    x = torch.randn(count, 32, *size, generator=torch.Generator().manual_seed(seed))
    both = torch.cat([hidden[:-1], hidden[-1:].expand(count, -1, -1)])
    masks = torch.cat([mask[:-1], mask[-1:].expand(count, -1)])
    for t in scheduler.timesteps:
        with torch.autocast("cpu", torch.bfloat16):
            velocity = transformer(torch.cat([x, x]), encoder_hidden_states=both, timestep=t.expand(2 * count), encoder_attention_mask=masks).sample.float()
        conditional, unconditional = velocity.chunk(2)
        x = scheduler.step(unconditional + guidance * (conditional - unconditional), t, x).prev_sample
    return x


@torch.no_grad()
def decode(ae: AutoencoderDC, x: Tensor) -> np.ndarray:
    with torch.autocast("cpu", torch.bfloat16):
        return to_pictures(torch.cat([ae.decoder(z / SCALING_FACTOR).float() for z in x.split(8)]))


@torch.no_grad()
def make_pictures(text: Gemma2Model, transformer: SanaTransformer2DModel, ae: AutoencoderDC, encoder: CaptionEncoder, prompts: list[str], seed: int = 0) -> np.ndarray:
    pictures = []
    for at in range(0, len(prompts), 32):
        hidden, mask = encoder.encode(text, prompts[at : at + 32] + [""])
        pictures.append(decode(ae, sample(transformer, hidden.float(), mask, seed=seed + at)))
    return np.concatenate(pictures)


def train(minutes: float, lr: float, batch_size: int, start: Path | None) -> None:
    run = Run("transformer", minutes, save_every_s=240)
    torch.manual_seed(0)
    ae = AutoencoderDC.from_pretrained(latents.autoencoder_folder()).to(memory_format=torch.channels_last).eval()
    groups = latents.load(ae)
    tokenizer = load_tokenizer()
    encoders = {chi: CaptionEncoder(tokenizer, chi) for chi in CHI_WEIGHTS}
    text, transformer = make_text_encoder(len(tokenizer)), make_transformer()
    if start:
        warm_start(start, text, transformer, tokenizer)
    model = nn.ModuleDict(dict(text=text, transformer=transformer))
    average = {name: p.detach().clone() for name, p in model.state_dict().items()}
    speller = nn.Linear(192, len(tokenizer))
    optimizer = Muon([*model.named_parameters(), *speller.named_parameters("speller")], lr, weight_decay=0.01, not_muon=NOT_MUON)
    if state := run.resume():
        model.load_state_dict(state["model"])
        speller.load_state_dict(state["speller"])
        optimizer.load_state_dict(state["optimizer"])
        average = state["average"]
    rng = random.Random(f"transformer/{run.step}")
    torch.manual_seed(run.step)
    shown = [world.scene_at("shown", k, square=True) for k in range(32)]
    losses: list[float] = []
    sizes, counts = list(groups), [len(scenes) for scenes, _ in groups.values()]
    run.log(event="begins", pictures=sum(counts), transformer=sum(p.numel() for p in transformer.parameters()), text=sum(p.numel() for p in text.parameters()))

    def save() -> None:
        export(run, average, tokenizer)
        run.save(model=model.state_dict(), speller=speller.state_dict(), optimizer=optimizer.state_dict(), average=average)

    while run.progress < 1:
        optimizer.set_scale(max(0.01, warmup_then_decay(run, warmup_steps=50, hold=0.4)))
        scenes, all_latents = groups[rng.choices(sizes, counts)[0]]
        chosen = rng.sample(range(len(scenes)), min(batch_size, len(scenes)))
        captions = ["" if rng.random() < CAPTION_DROPOUT else world.caption(scenes[k], rng) for k in chosen]
        encoder = encoders[rng.choices(list(CHI_WEIGHTS), list(CHI_WEIGHTS.values()))[0]]
        # The flash kernel's backward pass takes a tenth of a step at these sizes; plain products do not.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            hidden, mask = encoder.encode(text, captions)
            loss = flow_loss(transformer, all_latents[chosen].float(), hidden, mask)
            spelling = spelling_loss(speller, hidden, encoder.padded(captions))
        optimizer.zero_grad()
        (loss + SPELLING_WEIGHT * spelling).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        run.tick()
        if run.step % 5 == 0:
            with torch.no_grad():
                torch._foreach_lerp_(list(average.values()), list(model.state_dict().values()), min(1.0, max(0.01, 5 / (1 + EMA_HORIZON * run.step))))
        if run.step % 100 == 0:
            run.log(loss=float(np.mean(losses[-100:])), spelling=spelling.item(), seen=run.step * batch_size)
            run.untimed()
        if run.due():
            save()
    save()
    show(run, average, ae, encoders[DIFFUSERS_CHI], shown)
    run.log(event="finished", loss=float(np.mean(losses[-200:])))
    run.done_file().touch()


def load_average(average: dict[str, Tensor], vocabulary: int) -> nn.ModuleDict:
    model = nn.ModuleDict(dict(text=make_text_encoder(vocabulary), transformer=make_transformer())).eval()
    model.load_state_dict(average)
    return model


def export(run: Run, average: dict[str, Tensor], tokenizer) -> None:
    model = load_average(average, len(tokenizer))
    model["text"].save_pretrained(run.folder / "text_encoder")
    model["transformer"].save_pretrained(run.folder / "transformer")


def show(run: Run, average: dict[str, Tensor], ae: AutoencoderDC, encoder: CaptionEncoder, scenes: list[world.Scene]) -> None:
    model = load_average(average, len(encoder.tokenizer))
    pictures = make_pictures(model["text"], model["transformer"], ae, encoder, [world.plain_prompt(s) for s in scenes])
    save_grid(list(pictures), run.folder / f"pictures-{run.seconds / 60:03.0f}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--warm-start", type=Path, help="a pipeline of the same configuration to start from")
    options = parser.parse_args()
    use_two_threads()
    train(options.minutes, options.lr, options.batch_size, options.warm_start)
