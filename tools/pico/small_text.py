"""The tokenizer of clip-pico and the captioners: the pipeline's vocabulary, lower case, <bos> ... <eos>."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, normalizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from text import load_tokenizer

PAD, EOS, BOS = 0, 1, 2
LONGEST = 80


def make_small_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer.from_str(load_tokenizer().backend_tokenizer.to_str())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = None
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A <eos>", special_tokens=[("<bos>", BOS), ("<eos>", EOS)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>",
                                   model_max_length=LONGEST, padding_side="right")


def to_ids(tokenizer: PreTrainedTokenizerFast, captions: list[str]) -> Tensor:
    """[B, T], padded on the right."""
    return torch.tensor(tokenizer(captions, padding=True, truncation=True, max_length=LONGEST).input_ids)


def save_tokenizer(folder: Path) -> None:
    make_small_tokenizer().save_pretrained(folder)
