"""Trains the autoencoder: AutoencoderDC, 32 times smaller, six stages, two of them EfficientViT with multi-scale attention.

    python tools/pico/autoencoder.py [--minutes 40] [--warm-start DIR]      whole frames, encoder and decoder
    python tools/pico/autoencoder.py --decoder-only --minutes 20            afterwards: latents stay as they are

Full resolution is nearly free because stage 0 has no layers; later stages need one. A batch norm without parameters keeps the
latents at unit variance while training and is folded into the encoder's last convolution at the end, as is scaling_factor,
so that the exported autoencoder needs neither and a forgotten scaling_factor shows.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderDC
from torch import Tensor, nn

import draw
import world
from grid import save_grid
from optim import Muon
from run import Run, use_two_threads, warmup_then_decay

SCALING_FACTOR = 0.41407
CHANNELS = (16, 16, 32, 64, 128, 256)
NOT_MUON = ("encoder.conv_in", "decoder.conv_out", "norm", "conv_depth", "proj_in")
LATENT_NOISE = 0.15  # the decoder learns to live with a transformer's small errors
HELD_OUT_PICTURES = 64


def make_autoencoder() -> AutoencoderDC:
    blocks = ("ResBlock",) * 4 + ("EfficientViTBlock",) * 2
    multiscales = ((), (), (), (), (5,), (5,))
    return AutoencoderDC(
        in_channels=3, latent_channels=32, attention_head_dim=32, encoder_block_types=blocks, decoder_block_types=blocks,
        encoder_block_out_channels=CHANNELS, decoder_block_out_channels=CHANNELS,
        encoder_layers_per_block=(0, 1, 1, 1, 1, 2), decoder_layers_per_block=(0, 1, 1, 1, 2, 2),
        encoder_qkv_multiscales=multiscales, decoder_qkv_multiscales=multiscales,
        encoder_out_shortcut=False, decoder_in_shortcut=False, scaling_factor=SCALING_FACTOR)


def to_model(pictures: np.ndarray) -> Tensor:
    """uint8 [n, H, W, 3] to [-1, 1] [n, 3, H, W], channels last in memory."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(pixels: Tensor) -> np.ndarray:
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def training_batch(rng: random.Random, count: int) -> Tensor:
    """Fresh pictures of one size; a few in other colours, so that pictures from elsewhere survive too."""
    size = rng.choices(world.SIZES, world.SIZE_WEIGHTS)[0]
    pictures = []
    for _ in range(count):
        picture = draw.render(world.replace(world.draw_scene(rng), size=size))
        if rng.random() < 0.04:
            picture = picture[..., rng.sample(range(3), 3)]
        pictures.append(picture)
    return to_model(np.stack(pictures))


def reconstruction_loss(made: Tensor, real: Tensor) -> Tensor:
    """L1 and squared error, edges, and the same at half, quarter and eighth size, where blobs cost more than crumbs."""
    d = made - real
    loss = d.abs().mean() + 4 * d.square().mean()
    loss = loss + 0.5 * ((d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean())
    for _ in range(3):
        d = F.avg_pool2d(d, 2)
        loss = loss + 0.5 * d.abs().mean()
    return loss


def psnr(made: Tensor, real: Tensor) -> float:
    """dB, the mean over pictures in [-1, 1]."""
    return (10 * torch.log10(4 / (made.clamp(-1, 1) - real).square().mean((1, 2, 3)))).mean().item()


def held_out_pictures() -> Tensor:
    return to_model(np.stack([draw.render(world.scene_at("test", i, square=True)) for i in range(HELD_OUT_PICTURES)]))


def unfold_scaling(ae: AutoencoderDC) -> None:
    """Latents of unit variance inside, as training wants them; the opposite of fold()."""
    with torch.no_grad():
        ae.encoder.conv_out.weight.mul_(SCALING_FACTOR)
        ae.encoder.conv_out.bias.mul_(SCALING_FACTOR)
        ae.decoder.conv_in.weight.div_(SCALING_FACTOR)


def fold(ae: AutoencoderDC, norm: nn.BatchNorm2d) -> None:
    """Folds the batch norm and the scaling factor into the convolutions next to the latents."""
    with torch.no_grad():
        scale = (norm.running_var + norm.eps).rsqrt()
        conv = ae.encoder.conv_out
        conv.bias.copy_((conv.bias - norm.running_mean) * scale / SCALING_FACTOR)
        conv.weight.mul_(scale[:, None, None, None] / SCALING_FACTOR)
        ae.decoder.conv_in.weight.mul_(SCALING_FACTOR)


def train(minutes: float, lr: float, batch_size: int, warm_start: Path | None) -> None:
    run = Run("autoencoder", minutes)
    torch.manual_seed(0)
    ae = make_autoencoder()
    if warm_start:
        ae = AutoencoderDC.from_pretrained(warm_start, torch_dtype=torch.float32)
        unfold_scaling(ae)
    ae = ae.to(memory_format=torch.channels_last).train()
    norm = nn.BatchNorm2d(32, affine=False, momentum=0.02)
    optimizer = Muon(ae.named_parameters(), lr, not_muon=NOT_MUON)
    if state := run.resume():
        ae.load_state_dict(state["ae"])
        norm.load_state_dict(state["norm"])
        optimizer.load_state_dict(state["optimizer"])
    rng = random.Random(f"autoencoder/{run.step}")
    torch.manual_seed(run.step)
    real = held_out_pictures()

    def measure() -> tuple[float, Tensor]:
        norm.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            made = torch.cat([ae.decoder(norm(ae.encoder(x).float())).float() for x in real.split(8)])
        norm.train()
        return psnr(made, real), made

    losses: list[float] = []
    while run.progress < 1:
        optimizer.set_scale(warmup_then_decay(run, warmup_steps=30, hold=0.45))
        x = training_batch(rng, batch_size)
        with torch.autocast("cpu", torch.bfloat16):
            z = norm(ae.encoder(x).float())
            noise = LATENT_NOISE * torch.rand(len(z), 1, 1, 1) * torch.randn_like(z)
            y = ae.decoder(z + noise)
        loss = reconstruction_loss(y.float(), x)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ae.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        run.tick()
        if run.step == 20 or run.due():
            run.log(loss=float(np.mean(losses[-100:])), psnr=measure()[0], pictures=run.step * batch_size)
            run.save(ae=ae.state_dict(), norm=norm.state_dict(), optimizer=optimizer.state_dict())
    finish(run, ae, norm, real)
    run.save(ae=ae.state_dict(), norm=norm.state_dict(), optimizer=optimizer.state_dict())


def finish(run: Run, ae: AutoencoderDC, norm: nn.BatchNorm2d, real: Tensor) -> None:
    """Saves the folded autoencoder beside the checkpoint and a contact sheet to look at."""
    folded = make_autoencoder().to(memory_format=torch.channels_last)
    folded.load_state_dict(ae.state_dict())
    fold(folded, norm)
    folded.save_pretrained(run.folder / "model")
    with torch.no_grad():
        made = torch.cat([folded.decoder(folded.encoder(x)) for x in real.split(8)])
    run.log(event="finished", psnr=psnr(made, real), seconds_per_step=run.seconds / max(1, run.step))
    a, b = to_pictures(real), to_pictures(made)
    save_grid([*a[:8], *b[:8], *a[8:16], *b[8:16]], run.folder / "reconstructions.png")
    run.done_file().touch()


def train_decoder(minutes: float, lr: float, batch_size: int) -> None:
    """The decoder alone, on the latents as they are: the transformer stays valid."""
    run = Run("autoencoder-decoder", minutes)
    torch.manual_seed(1)
    ae = AutoencoderDC.from_pretrained(run.folder.parent / "autoencoder" / "model").to(memory_format=torch.channels_last)
    ae.encoder.requires_grad_(False)
    optimizer = Muon(ae.decoder.named_parameters(), lr, not_muon=("conv_out", "norm", "conv_depth", "proj_in", "conv_in"))
    if state := run.resume():
        ae.load_state_dict(state["ae"])
        optimizer.load_state_dict(state["optimizer"])
    rng = random.Random(f"autoencoder-decoder/{run.step}")
    real = held_out_pictures()
    losses: list[float] = []
    while run.progress < 1:
        optimizer.set_scale(warmup_then_decay(run, warmup_steps=20, hold=0.3))
        x = training_batch(rng, batch_size)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                z = ae.encoder(x).float()
            noise = LATENT_NOISE / SCALING_FACTOR * torch.rand(len(z), 1, 1, 1) * torch.randn_like(z)
            y = ae.decoder(z + noise)
        loss = reconstruction_loss(y.float(), x)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ae.decoder.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        run.tick()
        if run.due():
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                made = torch.cat([ae.decoder(ae.encoder(b).float()).float() for b in real.split(8)])
            run.log(loss=float(np.mean(losses[-100:])), psnr=psnr(made, real))
            run.save(ae=ae.state_dict(), optimizer=optimizer.state_dict())
    ae.save_pretrained(run.folder / "model")
    with torch.no_grad():
        made = torch.cat([ae.decoder(ae.encoder(x)) for x in real.split(8)])
    run.log(event="finished", psnr=psnr(made, real))
    a, b = to_pictures(real), to_pictures(made)
    save_grid([*a[:8], *b[:8], *a[8:16], *b[8:16]], run.folder / "reconstructions.png")
    run.done_file().touch()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--warm-start", type=Path, help="an autoencoder of the same configuration to start from")
    parser.add_argument("--decoder-only", action="store_true")
    options = parser.parse_args()
    use_two_threads()
    if options.decoder_only:
        train_decoder(options.minutes, options.lr, options.batch_size)
    else:
        train(options.minutes, options.lr, options.batch_size, options.warm_start)
