#!/usr/bin/env python3
"""Writes test/unit/caption/goldens: tiny random captioners of the kinds that transformers.js runs, as ONNX, and what
transformers says by the same weights. With --size base and --out, models of the real ones' sizes, to measure with.

    pip install torch transformers onnx pillow
    python tools/goldens/captioners.py
    python tools/goldens/captioners.py --size base --out FOLDER [--only vit-gpt2,florence2]

The files have the names, inputs and outputs that optimum and transformers.js' own scripts give them. Moondream is code on
the hub and not in transformers: it is a SigLIP, a projection and Phi, put together here.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    BartConfig, DynamicCache, EncoderDecoderCache, Florence2Config, Florence2ForConditionalGeneration, GPT2Config, LlamaConfig,
    PhiConfig, PhiForCausalLM, PreTrainedTokenizerFast, SiglipVisionConfig, SiglipVisionModel, SmolVLMConfig,
    SmolVLMForConditionalGeneration, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig,
)

OUT = Path(__file__).resolve().parents[2] / "test/unit/caption/goldens"
PROMPT = "What is this?"
TASKS = {"<CAPTION>": "What does the image describe?", "<MORE_DETAILED_CAPTION>": "Describe with a paragraph what is shown in the image."}
MEAN = STD = [0.5, 0.5, 0.5]
SEQ = {0: "batch_size", 1: "sequence_length"}


def make_tokenizer(special: list[str], *, begins: str | None = None, ends: str | None = None, pad: str, size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE with a few merges; words of no meaning fill it up to a real one's size."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    texts = [PROMPT, *TASKS.values(), "Question: Answer: User: Assistant:"]
    tok.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    # Words of the model's own: so many added tokens, which a real one has not, would take longer than all the rest.
    state = json.loads(tok.to_str())
    vocab = state["model"]["vocab"]
    vocab.update({f"Ġword{i}": i for i in range(len(vocab), size - len(special))})
    tok = Tokenizer.from_str(json.dumps(state))
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    if begins or ends:
        pattern = f"{begins or ''} $A {ends or ''}".strip()
        tok.post_processor = processors.TemplateProcessing(single=pattern, special_tokens=[(t, tok.token_to_id(t)) for t in (begins, ends) if t])
    return PreTrainedTokenizerFast(tokenizer_object=tok, pad_token=pad, eos_token=ends or pad, bos_token=begins or ends or pad, model_max_length=2048)


def randomize(model: nn.Module, seed: int, gain: float) -> None:
    """Weights so large that what is said depends on the picture."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1:
                p.copy_(torch.randn(p.shape, generator=generator) * gain / p[0].numel() ** 0.5)
            elif "bias" in name:
                p.copy_(torch.randn(p.shape, generator=generator) * 0.1)


def causal(past: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """[1, 1, length, past + length], 0 where a token may look and very small elsewhere."""
    rows = torch.arange(past + length)
    return torch.where(rows[None, :] > rows[past:][:, None], torch.tensor(-1e9), torch.tensor(0.0))[None, None]


def cache_of(past: tuple[torch.Tensor, ...]) -> DynamicCache:
    cache = DynamicCache()
    for i in range(len(past) // 2):
        cache.update(past[2 * i], past[2 * i + 1], i)
    return cache


def pairs(cache: DynamicCache) -> list[torch.Tensor]:
    return [t for layer in cache.layers for t in (layer.keys, layer.values)]


class Decoder(nn.Module):
    """A decoder-only language model over embeddings."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, inputs_embeds, attention_mask, position_ids, *past):
        length, before = inputs_embeds.shape[1], past[0].shape[2]
        mask = causal(before, length) + (1 - attention_mask.float())[:, None, None] * -1e9
        cache = cache_of(past)
        out = self.body(inputs_embeds=inputs_embeds, attention_mask=mask, position_ids=position_ids, past_key_values=cache, use_cache=True)
        return self.head(out.last_hidden_state), *pairs(cache)


class CrossDecoder(nn.Module):
    """GPT-2 that looks at a picture's tokens."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids, encoder_hidden_states, *past):
        length, before = input_ids.shape[1], past[0].shape[2]
        cache = EncoderDecoderCache(cache_of(past), DynamicCache())
        positions = torch.arange(before, before + length)[None]
        out = self.model(input_ids=input_ids, encoder_hidden_states=encoder_hidden_states, attention_mask=causal(before, length),
                         position_ids=positions, past_key_values=cache, use_cache=True)
        return out.logits, *pairs(cache.self_attention_cache)


class BartStep(nn.Module):
    """Florence-2's decoder; what it remembers of the encoder's output is computed anew, which changes nothing."""

    def __init__(self, decoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.decoder, self.head = decoder, head

    def forward(self, encoder_attention_mask, encoder_hidden_states, inputs_embeds, *past):
        own = tuple(t for i in range(0, len(past), 4) for t in past[i : i + 2])
        length, before = inputs_embeds.shape[1], own[0].shape[2]
        cache = EncoderDecoderCache(cache_of(own), DynamicCache())
        seen = (1 - encoder_attention_mask.float())[:, None, None] * -1e9
        out = self.decoder(inputs_embeds=inputs_embeds, attention_mask=causal(before, length), encoder_hidden_states=encoder_hidden_states,
                           encoder_attention_mask=seen, past_key_values=cache, use_cache=True)
        mine, others = pairs(cache.self_attention_cache), pairs(cache.cross_attention_cache)
        return self.head(out.last_hidden_state), *[t for i in range(0, len(mine), 2) for t in (*mine[i : i + 2], *others[i : i + 2])]


class Call(nn.Module):
    """A function of a model as a module."""

    def __init__(self, model: nn.Module, function) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, *inputs):
        return self.function(self.model, *inputs)


def export(module: nn.Module, inputs: dict, outputs: list[str], axes: dict, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(module.eval(), tuple(inputs.values()), str(path), input_names=list(inputs), output_names=outputs,
                          dynamic_axes=axes, opset_version=17, dynamo=False)
    if path.stat().st_size < 2**20:
        shorten(path)


def shorten(path: Path) -> None:
    """Names of values and nodes are half of a tiny model's file."""
    model = onnx.load(path)
    kept = {value.name for value in (*model.graph.input, *model.graph.output)}
    names: dict[str, str] = {}
    short = lambda name: name if name == "" or name in kept else names.setdefault(name, f"v{len(names)}")
    for node in model.graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
    for weight in model.graph.initializer:
        weight.name = short(weight.name)
    model.graph.ClearField("value_info")
    onnx.checker.check_model(model)
    onnx.save(model, path)


def past_inputs(layers: int, heads: int, width: int, kinds: tuple[str, ...] = ("",)) -> dict:
    return {f"past_key_values.{i}.{kind}{part}": torch.zeros(1, heads, 3, width) for i in range(layers) for kind in kinds for part in ("key", "value")}


def past_axes(past: dict) -> dict:
    axes = {name: {0: "batch_size", 2: "past_sequence_length"} for name in past}
    return axes | {name.replace("past_key_values", "present"): {0: "batch_size", 2: "total_sequence_length"} for name in past}


def present(past: dict) -> list[str]:
    return [name.replace("past_key_values", "present") for name in past]


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def preprocessor(side: int, **more) -> dict:
    return dict(do_convert_rgb=True, do_resize=True, size=dict(height=side, width=side), resample=3, do_rescale=True,
                rescale_factor=1 / 255, do_normalize=True, image_mean=MEAN, image_std=STD) | more


def export_language_model(folder: Path, body: nn.Module, head: nn.Module, embed: nn.Module, layers: int, heads: int, width: int, hidden: int) -> None:
    past = past_inputs(layers, heads, width)
    inputs = {"inputs_embeds": torch.randn(1, 4, hidden), "attention_mask": torch.ones(1, 7, dtype=torch.int64), "position_ids": torch.arange(3, 7)[None], **past}
    axes = {"inputs_embeds": SEQ, "attention_mask": {0: "batch_size", 1: "total_sequence_length"}, "position_ids": SEQ, "logits": SEQ} | past_axes(past)
    export(Decoder(body, head), inputs, ["logits", *present(past)], axes, folder / "onnx" / "decoder_model_merged.onnx")
    export(embed, {"input_ids": torch.ones(1, 4, dtype=torch.int64)}, ["inputs_embeds"], {"input_ids": SEQ, "inputs_embeds": SEQ}, folder / "onnx" / "embed_tokens.onnx")


def vit_gpt2(folder: Path, base: bool, seed: int):
    tokenizer = make_tokenizer(["<|endoftext|>"], pad="<|endoftext|>", size=50257 if base else 0)
    end = tokenizer.pad_token_id
    side, patch, width, layers, heads = (224, 16, 768, 12, 12) if base else (64, 8, 24, 2, 2)
    tokens = dict(bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=end)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width, image_size=side, patch_size=patch),
        GPT2Config(vocab_size=len(tokenizer), n_embd=width, n_layer=layers, n_head=heads, n_positions=1024 if base else 64, add_cross_attention=True, is_decoder=True, bos_token_id=end, eos_token_id=end))
    for name, value in tokens.items():
        setattr(config, name, value)
    config.decoder.pad_token_id = end
    model = VisionEncoderDecoderModel(config).eval()
    randomize(model, seed, 1.6)
    model.generation_config.update(**tokens)
    pixels = torch.randn(1, 3, side, side)
    export(Call(model.encoder, lambda m, p: m(pixel_values=p).last_hidden_state), {"pixel_values": pixels}, ["last_hidden_state"],
           {"pixel_values": {0: "batch_size"}, "last_hidden_state": {0: "batch_size"}}, folder / "onnx" / "encoder_model.onnx")
    past = past_inputs(layers, heads, width // heads)
    inputs = {"input_ids": torch.tensor([[5, 6]]), "encoder_hidden_states": torch.randn(1, (side // patch) ** 2 + 1, width), **past}
    axes = {"input_ids": SEQ, "encoder_hidden_states": {0: "batch_size", 1: "encoder_sequence_length"}, "logits": SEQ} | past_axes(past)
    export(CrossDecoder(model.decoder), inputs, ["logits", *present(past)], axes, folder / "onnx" / "decoder_model_merged.onnx")
    write(folder / "config.json", {**config.to_dict(), **tokens})
    write(folder / "generation_config.json", tokens)
    write(folder / "preprocessor_config.json", preprocessor(side, image_processor_type="ViTImageProcessor", feature_extractor_type="ViTFeatureExtractor", resample=2))

    def say(pixel_values, count):
        ids = model.generate(pixel_values=pixel_values, max_new_tokens=count, do_sample=False)
        return tokenizer.decode(ids[0], skip_special_tokens=True)

    return tokenizer, say


def florence2(folder: Path, base: bool, seed: int):
    tokenizer = make_tokenizer(["<s>", "<pad>", "</s>", "<image>"], begins="<s>", ends="</s>", pad="<pad>", size=51289 if base else 0)
    begin, pad, end, image = (tokenizer.convert_tokens_to_ids(t) for t in ("<s>", "<pad>", "</s>", "<image>"))
    side, width, layers, heads = (768, 768, 6, 12) if base else (64, 24, 2, 2)
    text = BartConfig(vocab_size=len(tokenizer), d_model=width, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=heads, decoder_attention_heads=heads,
                      encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width, max_position_embeddings=1024 if base else 128, bos_token_id=begin, pad_token_id=pad,
                      eos_token_id=end, decoder_start_token_id=end, forced_bos_token_id=None, forced_eos_token_id=end, tie_word_embeddings=True)
    tiny = {} if base else dict(embed_dim=(8, 16), num_heads=(1, 2), num_groups=(1, 2), depths=(1, 1), window_size=4, max_position_embeddings=8,
                                patch_size=(7, 3), patch_stride=(4, 2), patch_padding=(3, 1), patch_prenorm=(False, True))
    config = Florence2Config(text_config=text.to_dict(), vision_config=dict(projection_dim=width, **tiny), image_token_id=image)
    model = Florence2ForConditionalGeneration(config).eval()
    randomize(model, seed, 1.3)
    model.tie_weights()
    bart = model.model.language_model
    pixels = torch.randn(1, 3, side, side)
    with torch.no_grad():
        features = model.get_image_features(pixel_values=pixels)
        features = getattr(features, "pooler_output", features)
    picture_tokens = features.shape[1]

    def see(m, p):
        out = m.get_image_features(pixel_values=p)
        return getattr(out, "pooler_output", out)

    export(Call(model.model, see), {"pixel_values": pixels}, ["image_features"], {"pixel_values": {0: "batch_size"}, "image_features": {0: "batch_size"}}, folder / "onnx" / "vision_encoder.onnx")
    export(bart.get_input_embeddings(), {"input_ids": torch.ones(1, 4, dtype=torch.int64)}, ["inputs_embeds"], {"input_ids": SEQ, "inputs_embeds": SEQ}, folder / "onnx" / "embed_tokens.onnx")
    hidden = torch.randn(1, 9, width)
    export(Call(bart.encoder, lambda m, x, mask: m(inputs_embeds=x, attention_mask=(1 - mask.float())[:, None, None] * -1e9).last_hidden_state),
           {"inputs_embeds": hidden, "attention_mask": torch.ones(1, 9, dtype=torch.int64)}, ["last_hidden_state"],
           {"inputs_embeds": SEQ, "attention_mask": SEQ, "last_hidden_state": SEQ}, folder / "onnx" / "encoder_model.onnx")
    past = past_inputs(layers, heads, width // heads, ("decoder.", "encoder."))
    encoder = {0: "batch_size", 1: "encoder_sequence_length"}
    inputs = {"encoder_attention_mask": torch.ones(1, 9, dtype=torch.int64), "encoder_hidden_states": hidden, "inputs_embeds": torch.randn(1, 2, width), **past}
    axes = {"encoder_attention_mask": encoder, "encoder_hidden_states": encoder, "inputs_embeds": SEQ, "logits": SEQ} | past_axes(past)
    export(BartStep(bart.decoder, model.lm_head), inputs, ["logits", *present(past)], axes, folder / "onnx" / "decoder_model_merged.onnx")
    shown = config.to_dict()
    tokens = dict(bos_token_id=begin, pad_token_id=pad, eos_token_id=end, decoder_start_token_id=end)
    shown |= dict(model_type="florence2", is_encoder_decoder=True, **tokens)
    shown["text_config"] |= dict(model_type="florence2_language")
    write(folder / "config.json", shown)
    write(folder / "generation_config.json", tokens)
    write(folder / "preprocessor_config.json", preprocessor(
        side, image_processor_type="CLIPImageProcessor", processor_class="Florence2Processor", crop_size=dict(height=side, width=side), do_center_crop=False,
        task_prompts_without_inputs=TASKS, tasks_answer_post_processing_type={task: "pure_text" for task in TASKS}))
    write(folder / "processor_config.json", dict(processor_class="Florence2Processor"))

    def say(pixel_values, count, task="<MORE_DETAILED_CAPTION>"):
        ids = torch.tensor([[image] * picture_tokens + tokenizer(TASKS[task])["input_ids"]])
        out = model.generate(input_ids=ids, pixel_values=pixel_values, max_new_tokens=count, do_sample=False, num_beams=1, **tokens)
        return tokenizer.decode(out[0], skip_special_tokens=True)

    return tokenizer, say


def smolvlm(folder: Path, base: bool, seed: int):
    special = ["<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>", "<global-img>"]
    special += [f"<row_{r}_col_{c}>" for r in range(1, 5) for c in range(1, 5)]
    tokenizer = make_tokenizer(special, pad="<|im_start|>", size=49280 if base else 0)
    tokenizer.eos_token = "<end_of_utterance>"
    image, end = tokenizer.convert_tokens_to_ids("<image>"), tokenizer.eos_token_id
    # SmolVLM-256M's sizes.
    side, patch, scale, width, layers, heads, kv = (512, 16, 4, 576, 30, 9, 3) if base else (32, 8, 2, 24, 2, 4, 2)
    vision = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072) if base else dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    text = LlamaConfig(vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv, head_dim=width // heads,
                       intermediate_size=1536 if base else 48, max_position_embeddings=8192 if base else 512, pad_token_id=tokenizer.pad_token_id, eos_token_id=end)
    config = SmolVLMConfig(vision_config=dict(image_size=side, patch_size=patch, **vision), text_config=text.to_dict(), image_token_id=image, scale_factor=scale, pad_token_id=tokenizer.pad_token_id)
    model = SmolVLMForConditionalGeneration(config).eval()
    randomize(model, seed, 1.5)
    body = model.model
    patches = (side // patch) ** 2

    def see(m, pixel_values, pixel_attention_mask):
        # Every picture is as large as the model wants it, so positions are plain and no patch is hidden.
        frames = pixel_values.flatten(0, 1) + 0 * pixel_attention_mask.flatten(0, 1)[:, None].float()
        tower = m.vision_model
        x = tower.embeddings.patch_embedding(frames).flatten(2).transpose(1, 2) + tower.embeddings.position_embedding(torch.arange(patches))[None]
        for layer in tower.encoder.layers:
            x = layer(x, None)
            x = x[0] if isinstance(x, tuple) else x
        return m.connector(tower.post_layernorm(x))

    frames, mask = torch.randn(1, 2, 3, side, side), torch.ones(1, 2, side, side, dtype=torch.bool)
    axes = {"pixel_values": {0: "batch_size", 1: "num_images"}, "pixel_attention_mask": {0: "batch_size", 1: "num_images"}, "image_features": {0: "num_frames"}}
    export(Call(body, see), {"pixel_values": frames, "pixel_attention_mask": mask}, ["image_features"], axes, folder / "onnx" / "vision_encoder.onnx")
    export_language_model(folder, body.text_model, model.lm_head, body.text_model.get_input_embeddings(), layers, kv, width // heads, width)
    seq_len = patches // scale**2
    shown = config.to_dict() | dict(model_type="smolvlm")
    write(folder / "config.json", shown)
    write(folder / "generation_config.json", dict(bos_token_id=tokenizer.bos_token_id, eos_token_id=end, pad_token_id=tokenizer.pad_token_id))
    longest = 2048 if base else 64
    write(folder / "preprocessor_config.json", dict(
        do_convert_rgb=True, do_image_splitting=True, do_normalize=True, do_pad=True, do_rescale=True, do_resize=True, image_mean=MEAN, image_std=STD,
        image_processor_type="SmolVLMImageProcessor", processor_class="SmolVLMProcessor", max_image_size=dict(longest_edge=side), size=dict(longest_edge=longest), resample=1, rescale_factor=1 / 255))
    write(folder / "processor_config.json", dict(processor_class="SmolVLMProcessor", image_seq_len=seq_len))
    template = "{% for message in messages %}<|im_start|>{{ message['role'] | capitalize }}:{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}<image>{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
    tokenizer.init_kwargs["chat_template"] = template

    def say(pixel_values, count):
        # Four parts, and the whole made small.
        frames = [pixel_values[..., y : y + side, x : x + side] for y in (0, side) for x in (0, side)]
        frames.append(nn.functional.interpolate(pixel_values, size=(side, side), mode="bilinear"))
        around, picture = "<fake_token_around_image>", "<image>" * seq_len
        rows = "".join("".join(f"{around}<row_{r}_col_{c}>{picture}" for c in (1, 2)) + "\n" for r in (1, 2))
        text = f"<|im_start|>User:{rows}\n{around}<global-img>{picture}{around}{PROMPT}<end_of_utterance>\nAssistant:"
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=torch.stack(frames, 1), max_new_tokens=count, do_sample=False,
                             eos_token_id=end, pad_token_id=tokenizer.pad_token_id)
        return tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)

    return tokenizer, say


def moondream(folder: Path, base: bool, seed: int):
    tokenizer = make_tokenizer(["<|endoftext|>", "<image>"], pad="<|endoftext|>", size=51200 if base else 0)
    end = tokenizer.pad_token_id
    side, patch, width, layers, heads = (378, 14, 2048, 24, 32) if base else (64, 8, 32, 2, 2)
    vision = dict(hidden_size=1152, num_hidden_layers=27, num_attention_heads=16, intermediate_size=4304) if base else dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    phi = PhiConfig(vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width,
                    max_position_embeddings=2048, partial_rotary_factor=0.5, bos_token_id=end, eos_token_id=end, pad_token_id=end)
    model = nn.ModuleDict(dict(
        vision=SiglipVisionModel(SiglipVisionConfig(image_size=side, patch_size=patch, vision_use_head=False, **vision)),
        projection=nn.Sequential(nn.Linear(vision["hidden_size"], 4 * width), nn.GELU(), nn.Linear(4 * width, width)), text=PhiForCausalLM(phi))).eval()
    randomize(model, seed, 1.5)
    phi_model = model["text"]
    see = lambda m, p: m["projection"](m["vision"](pixel_values=p).last_hidden_state)
    export(Call(model, see), {"pixel_values": torch.randn(1, 3, side, side)}, ["image_features"], {"pixel_values": {0: "batch_size"}, "image_features": {0: "batch_size"}}, folder / "onnx" / "vision_encoder.onnx")
    export_language_model(folder, phi_model.model, phi_model.lm_head, phi_model.get_input_embeddings(), layers, heads, width // heads, width)
    # As in Xenova/moondream2: the picture's token has an id that is no word's.
    count_of_tokens = (side // patch) ** 2
    write(folder / "config.json", dict(model_type="moondream1", phi_config=phi.to_dict() | dict(model_type="phi"), image_token_index=-200, num_image_tokens=count_of_tokens))
    write(folder / "generation_config.json", dict(bos_token_id=end, eos_token_id=end, pad_token_id=end))
    write(folder / "preprocessor_config.json", preprocessor(side, image_processor_type="ViTFeatureExtractor"))

    def say(pixel_values, count):
        words = torch.tensor([tokenizer(f"\n\nQuestion: {PROMPT}\n\nAnswer:")["input_ids"]])
        embeds = torch.cat([see(model, pixel_values), phi_model.get_input_embeddings()(words)], 1)
        out = phi_model.generate(inputs_embeds=embeds, attention_mask=torch.ones(embeds.shape[:2], dtype=torch.int64), max_new_tokens=count, do_sample=False, pad_token_id=end)
        return tokenizer.decode(out[0], skip_special_tokens=True)

    return tokenizer, say


KINDS = {"vit-gpt2": vit_gpt2, "florence2": florence2, "smolvlm": smolvlm, "moondream": moondream}


def pictures() -> dict[str, Image.Image]:
    """As large as the tiny models want them, so that nothing is scaled."""
    y, x = np.mgrid[0:64, 0:64]
    rings = np.stack([127 + 127 * np.sin(np.hypot(x - 21, y - 30) / (2 + c)) for c in range(3)], -1)
    slopes = np.stack([x * 4, y * 4, 255 - x * 2 - y * 2], -1)
    return {name: Image.fromarray(pixels.astype(np.uint8)) for name, pixels in dict(rings=rings, slopes=slopes).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["tiny", "base"], default="tiny")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", default=",".join(KINDS))
    options = parser.parse_args()
    base, out = options.size == "base", options.out
    images = pictures()
    said: dict[str, dict[str, str]] = {}
    for kind in options.only.split(","):
        shutil.rmtree(out / kind, ignore_errors=True)
        (out / kind).mkdir(parents=True)
        tokenizer, say = KINDS[kind](out / kind, base, seed=1)
        tokenizer.save_pretrained(out / kind)
        if chat := tokenizer.init_kwargs.get("chat_template"):
            # transformers.js looks for it there.
            settings = out / kind / "tokenizer_config.json"
            write(settings, json.loads(settings.read_text()) | dict(chat_template=chat))
        if kind == "moondream":
            path = out / kind / "tokenizer.json"
            text = json.loads(path.read_text())
            next(t for t in text["added_tokens"] if t["content"] == "<image>")["id"] = -200
            path.write_text(json.dumps(text, ensure_ascii=False) + "\n")
        if base:
            continue
        with torch.no_grad():
            said[kind] = {name: say(torch.from_numpy(np.asarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1, 12) for name, image in images.items()}
        assert len(set(said[kind].values())) == len(images), f"{kind} says the same of every picture: {said[kind]}"
    if not base:
        for name, image in images.items():
            image.save(out / f"{name}.png", optimize=True)
        write(out / "captions.json", dict(prompt=PROMPT, maxNewTokens=12, said=said))


if __name__ == "__main__":
    main()
