"""The tokenizer and the text encoder: Gemma's conventions, a few million parameters.

    python tools/pico/text.py        makes the tokenizer

Byte-fallback BPE in which a space is U+2581, no dummy prefix, <bos> first, as Gemma's. Sana's CHI (complex human instruction)
is in the vocabulary's training text, which keeps it at a third of what unseen English would cost.
"""

from __future__ import annotations

import inspect
import json
import random

import torch
from diffusers import SanaPipeline
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import AutoTokenizer, DynamicCache, Gemma2Config, Gemma2Model, GemmaTokenizer

import world
from run import STATE

VOCABULARY = 832  # merges and characters; the 256 bytes come on top
# English that captions of other pictures may need, so that it does not fall to letters.
MORE_WORDS = """a photo of the and or with my your this that is are in on at under over big small beautiful high quality picture
painting sketch wearing holding happy sad sleeping running dog puppy kitten toy backpack person man woman child house tree water
mountain river road car boat blue sky sun night day light dark colorful cartoon style detailed red green teal cyan magenta star heart
cape hat belly sks ohwx zwx ink print paper cream drawing black white sunset studio portrait close up background""".split()

DIFFUSERS_CHI = "\n".join(inspect.signature(SanaPipeline.__call__).parameters["complex_human_instruction"].default)
NVLABS_CHI = DIFFUSERS_CHI.replace("'Enhanced prompt'", '"Enhanced prompt"')  # the same text but for its quotes


def make_tokenizer() -> GemmaTokenizer:
    rng = random.Random("tokenizer")
    captions = [world.caption(world.scene_at("tokenizer", i), rng).lower() for i in range(20_000)]
    bpe = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    bpe.normalizer = normalizers.Replace(" ", "▁")
    bpe.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=[chr(c) for c in range(33, 127)] + ["▁", "\n"],
        special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"], show_progress=False)
    words = " ".join(MORE_WORDS)
    bpe.train_from_iterator(captions + [words, " " + words] * 60 + [DIFFUSERS_CHI, NVLABS_CHI, DIFFUSERS_CHI.lower()] * 40, trainer)
    model = json.loads(bpe.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    order = pieces[:5] + [f"<0x{byte:02X}>" for byte in range(256)] + pieces[5:]
    return GemmaTokenizer(vocab={piece: k for k, piece in enumerate(order)}, merges=[tuple(m) for m in model["merges"]],
                          add_bos_token=True, model_max_length=1024)


def load_tokenizer() -> GemmaTokenizer:
    folder = STATE / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        make_tokenizer().save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def make_text_encoder(vocabulary: int) -> Gemma2Model:
    return Gemma2Model(Gemma2Config(
        vocab_size=vocabulary, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=48, query_pre_attn_scalar=48, max_position_embeddings=1024, sliding_window=512,
        pad_token_id=0, eos_token_id=1, bos_token_id=2, attn_implementation="eager", use_cache=False))


class CaptionEncoder:
    """Captions behind a CHI, as SanaPipeline encodes them, at the price of the captions alone.

    The CHI is the same for all and Gemma is causal, so its keys and values are computed once a batch and every caption
    continues from them. The window is SanaPipeline's: <bos> and what follows the CHI's last token, which merges with the
    caption's first word.
    """

    def __init__(self, tokenizer: GemmaTokenizer, chi: str):
        self.tokenizer, self.chi = tokenizer, chi
        ids = tokenizer(chi).input_ids
        self.prefix = ids[: len(ids) - 1] if chi else ids  # the trailing space is not a token of its own once a word follows

    def tokens(self, caption: str) -> list[int]:
        """The caption's tokens behind the prefix."""
        head = "Prompt: " if self.chi else ""
        ids = self.tokenizer(head + caption.lower().strip(), add_special_tokens=False).input_ids
        return ids[len(self.tokenizer(head, add_special_tokens=False).input_ids) - 1 :] if self.chi else ids

    def check(self, caption: str) -> None:
        """Raises if the shortcut differs from tokenizing the whole."""
        whole = self.tokenizer(self.chi + caption.lower().strip()).input_ids
        assert self.prefix + self.tokens(caption) == whole, (whole[len(self.prefix) - 3 :], self.tokens(caption))

    def padded(self, captions: list[str]) -> Tensor:
        """Tokens behind the prefix [B, T - 1], zeros where there are none."""
        ids = [self.tokens(c) if c else [] for c in captions]
        longest = max(1, max(map(len, ids)))
        return torch.tensor([row + [0] * (longest - len(row)) for row in ids])

    def encode(self, encoder: Gemma2Model, captions: list[str]) -> tuple[Tensor, Tensor]:
        """Hidden states [B, T, C] and mask [B, T]; an empty caption is the unconditional one, <bos> alone."""
        padded = self.padded(captions)
        count, longest = padded.shape
        mask = (padded != 0).long()
        cache = DynamicCache()
        head = encoder(torch.tensor([self.prefix]), past_key_values=cache, use_cache=True).last_hidden_state[:, :1]
        shared = DynamicCache()
        for k, layer in enumerate(cache.layers):
            expand = (count, -1, -1, -1)
            shared.update(layer.keys.expand(*expand), layer.values.expand(*expand), k)
        full_mask = torch.cat([torch.ones(count, len(self.prefix), dtype=mask.dtype), mask], 1)
        positions = torch.arange(len(self.prefix), len(self.prefix) + longest)[None]
        hidden = encoder(padded, attention_mask=full_mask, position_ids=positions, past_key_values=shared, use_cache=True).last_hidden_state
        return torch.cat([head.expand(count, -1, -1), hidden], 1), torch.cat([torch.ones(count, 1, dtype=mask.dtype), mask], 1)


if __name__ == "__main__":
    tokenizer = load_tokenizer()
    print(len(tokenizer), "tokens; CHI:", len(tokenizer(DIFFUSERS_CHI).input_ids))
    for text in ("a photo of sks dog in the snow", "", "a teal Ünicode dog wearing a red cape"):
        print(tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids))
