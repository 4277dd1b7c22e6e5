#!/usr/bin/env python3
"""Writes test/unit/text/goldens: a small tokenizer of Gemma's kind, and what transformers and diffusers' SanaPipeline
make of prompts with it.

    pip install torch diffusers transformers tokenizers
    python tools/goldens/text.py

The tokenizer has what Gemma's has: a space is U+2581, unknown characters fall back to bytes, BOS comes first, and there
are added tokens that are not special (runs of line breaks and spaces, HTML tags).
"""

import json
import types
from pathlib import Path

import torch
from diffusers import SanaPipeline
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

OUT = Path(__file__).resolve().parents[2] / "test/unit/text/goldens"
CHI = ["Given a user prompt, generate an 'Enhanced prompt':", "- A cat sleeping -> A fluffy white cat.", "User Prompt: "]
PROMPTS = [
    "a photo of sks dog",
    "  A Photo of SKS Dog,\n\n\non  the   BEACH \t\n",
    "Ein Hund läuft über die Brücke, 日本語 🙂, and  two  spaces",
    "",
    "   ",
    "<h1>a title</h1>\n\na <b>bold</b> word <bos> and <0x41> ▁▁ literal",
    "ΌΔΟΣ İstanbul ẞ Ǆ e\u0301\u200d👩‍👩‍👧 \ufeffx\ufeff\x1f\x85",
    "\x07\x00 control \u2028 characters",
    "12:30 on 2024-01-01, 3.14159 & 100% \"quoted\" 'text'",
    "a very long prompt " * 40,
]
CORPUS = CHI + PROMPTS[:3] + ["the quick brown fox jumps over the lazy dog 0123456789 .,:;!?'\"()[]-"] * 4


def make_tokenizer() -> PreTrainedTokenizerFast:
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    tok = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tok.normalizer = normalizers.Replace(" ", "▁")
    tok.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tok.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=520, special_tokens=special + [f"<0x{i:02X}>" for i in range(256)], show_progress=False))
    state = json.loads(tok.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] in special]
    # As in Gemma, runs of line breaks and spaces are in the vocabulary, with every way to merge them, and added tokens too.
    extra = ["\n", "\n\n", "\n\n\n", "▁▁", "▁▁▁", "<h1>", "</h1>", "<b>", "</b>"]
    model = state["model"]
    for token in extra:
        model["vocab"].setdefault(token, len(model["vocab"]))
        if token[0] in "\n▁":
            pairs = [[token[:i], token[i:]] for i in range(1, len(token))]
            model["merges"] += [pair for pair in pairs if pair not in model["merges"]]
    tok = Tokenizer.from_str(json.dumps(state))
    tok.add_tokens([AddedToken(t, normalized=False, special=False) for t in extra])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tok.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", tok.token_to_id("<bos>"))])
    return PreTrainedTokenizerFast(tokenizer_object=tok, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>",
                                   unk_token="<unk>", model_max_length=4096)


class Recorder:
    """Stands for Gemma: keeps the ids, and says each token's position, so that the selection shows in the result."""

    dtype = torch.float32

    def __call__(self, input_ids, attention_mask):
        self.ids = input_ids
        batch, length = input_ids.shape
        return (torch.arange(length).float().view(1, length, 1).expand(batch, length, 1),)


def pipeline_case(tokenizer, prompt: str, chi, max_length: int) -> dict:
    encoder = Recorder()
    pipe = types.SimpleNamespace(tokenizer=tokenizer, text_encoder=encoder, _execution_device="cpu", transformer=None)
    for name in ("_get_gemma_prompt_embeds", "_text_preprocessing", "encode_prompt"):
        setattr(pipe, name, types.MethodType(getattr(SanaPipeline, name), pipe))
    positions, mask, _, _ = pipe.encode_prompt(
        prompt, do_classifier_free_guidance=False, device="cpu", max_sequence_length=max_length,
        complex_human_instruction=chi)
    return dict(prompt=prompt, chi=chi, maxSequenceLength=max_length, inputIds=encoder.ids[0].tolist(),
                select=positions[0, :, 0].long().tolist(), selectedMask=mask[0].tolist())


def main() -> None:
    tokenizer = make_tokenizer()
    (OUT / "tokenizer").mkdir(parents=True, exist_ok=True)
    # One line: the file is for machines, and a merge per line would make it three times as large.
    for path in tokenizer.save_pretrained(OUT / "tokenizer"):
        if str(path).endswith(".json"):
            value = json.loads(Path(path).read_text())
            Path(path).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    settings = [(None, 20), (CHI, 20), (CHI, 60), ([], 20)]
    encoded = [dict(text=p, ids=tokenizer(p).input_ids) for p in PROMPTS + ["\n".join(CHI)]]
    prompts = [pipeline_case(tokenizer, p, chi, length) for p in PROMPTS for chi, length in settings]
    (OUT / "prompts.json").write_text(
        json.dumps(dict(encoded=encoded, prompts=prompts), ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
