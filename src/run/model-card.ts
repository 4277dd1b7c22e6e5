import { basename } from 'node:path';

import type { Config } from '../config/schema.ts';
import type { ExportFormat } from '../export/format-names.ts';
import { adapterFileName } from '../lora/adapter-file.ts';
import { runFileName } from './export-formats.ts';
import type { MetricsEvent, RunMetrics } from './run-metrics.ts';
import type { RunSampler } from './run-samples.ts';

/** A picture that a model card shows. */
export interface CardPicture {
  /** Its path beside the card. */
  readonly name: string;
  readonly prompt: string;
  readonly seed: number;
}

const typeNames = { lora: 'LoRA', dora: 'DoRA', lokr: 'LoKr (LyCORIS)', loha: 'LoHa (LyCORIS)' } as const;

/** The model card: what was learned from what, how to load it, and its pictures. */
export function modelCard(
  config: Config,
  formats: readonly ExportFormat[],
  { runDir, samples, chiName }: Pick<RunSampler, 'runDir' | 'samples' | 'chiName'>,
  pictures: readonly CardPicture[],
  metrics?: Pick<RunMetrics, 'first' | 'last'>,
): string {
  const { train, lora, model } = config;
  const { title, author, license } = config.export;
  const triggers = config.dataset.sources.flatMap(
    ({ trigger_word, instance_prompt }) => trigger_word ?? instance_prompt ?? [],
  );
  const prompt = samples[0]?.prompt ?? triggers[0] ?? '';
  const base = /^[\w.-]+\/[\w.-]+$/.test(model.path) ? model.path : basename(model.path);
  const rows: readonly (readonly [string, string | number])[] = [
    ['base model', base],
    ['adapter', `${lora.type}, rank ${lora.rank}, alpha ${lora.alpha}${lora.rslora ? ', rank-stabilised' : ''}`],
    ['modules', lora.target_modules.join(', ')],
    ['steps', train.max_train_steps ?? `${train.num_train_epochs} epochs`],
    ['batch', `${train.train_batch_size} x ${train.gradient_accumulation_steps}`],
    ['optimizer', `${train.optimizer.name}, learning rate ${train.learning_rate}, ${train.lr_scheduler}`],
    ['noise levels', `${train.weighting_scheme}, shift ${train.flow_shift}`],
    ['instruction (CHI)', chiName ?? 'none'],
    ['seed', train.seed],
  ];
  return `---
base_model: ${JSON.stringify(base)}
library_name: diffusers${license === null ? '' : `\nlicense: ${JSON.stringify(license)}`}
tags:
  - sana
  - lora
  - text-to-image
instance_prompt: ${JSON.stringify(triggers[0] ?? prompt)}${widget(pictures)}
---

# ${title ?? basename(runDir)}

A ${typeNames[lora.type]} of Sana, trained with sana-train${author === null ? '' : ` by ${author}`}.
${triggers.length > 0 ? `\nUse it with: ${triggers.map((text) => `\`${text}\``).join(', ')}\n` : ''}${gallery(pictures)}
## How to use it

${usage(config, formats, base, prompt, runDir, chiName !== null)}

## How it was trained

| | |
| --- | --- |
${rows.map(([key, value]) => `| ${key} | ${value} |`).join('\n')}
${metrics?.last ? metricsTable(metrics.last, metrics.first) : ''}`;
}

/** The pictures as the hub shows them above a card. */
function widget(pictures: readonly CardPicture[]): string {
  if (pictures.length === 0) return '';
  const entries = pictures.map(
    ({ name, prompt }) => `  - text: ${JSON.stringify(prompt)}\n    output:\n      url: ${name}`,
  );
  return `\nwidget:\n${entries.join('\n')}`;
}

/** The pictures as any reader of Markdown shows them. */
function gallery(pictures: readonly CardPicture[]): string {
  if (pictures.length === 0) return '';
  const entries = pictures.map(({ name, prompt, seed }) => {
    const text = prompt.replaceAll(/[[\]\\]/g, '\\$&').replaceAll(/\s+/g, ' ');
    return `![${text}](${name})\n\n${text} (seed ${seed})`;
  });
  return `\n## Pictures\n\n${entries.join('\n\n')}\n`;
}

/** What a CLIP says of the last samples, and of the first ones in brackets. */
function metricsTable(last: MetricsEvent, first = last): string {
  const change = (before: number | undefined, now: number): string =>
    before === undefined || first.step === last.step ? now.toFixed(3) : `${now.toFixed(3)} (${before.toFixed(3)})`;
  const rows = last.samples.map(({ index, prompt, seed, role, clipI, clipT, clipIToStart }) => {
    const before = first.samples.find((sample) => sample.index === index);
    const text = prompt.replaceAll('|', '\\|').replaceAll('\n', ' ');
    const kept = role === 'class' ? (clipIToStart?.toFixed(3) ?? '') : '';
    return `| ${text}, seed ${seed} | ${change(before?.clipI, clipI)} | ${change(before?.clipT, clipT)} | ${kept} |`;
  });
  return `
## How near it comes

Cosines of ${last.model}'s embeddings at step ${last.step}${first.step === last.step ? '' : `, at step ${first.step} in brackets`}: CLIP-I with the training pictures, CLIP-T with
the prompt, and for prompts without the subject how much the picture is still that of step 0. Every CLIP has a scale of
its own.

| prompt | CLIP-I | CLIP-T | as at step 0 |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

/** How to load what was written. */
function usage(
  config: Config,
  formats: readonly ExportFormat[],
  base: string,
  prompt: string,
  runDir: string,
  hasChi: boolean,
): string {
  const { merged_layout: layout } = config.export;
  const [first = 'diffusers'] = formats;
  const fileOf = (format: ExportFormat): string => runFileName(format, runDir, layout);
  const parts = formats.map((format): string => {
    switch (format) {
      case 'diffusers':
        return `With diffusers 0.34 or later:

\`\`\`python
import torch
from diffusers import SanaPipeline

pipe = SanaPipeline.from_pretrained(${JSON.stringify(base)}, torch_dtype=torch.float32)
pipe.load_lora_weights(".", weight_name="${adapterFileName}")
image = pipe(${JSON.stringify(prompt)}${hasChi ? '' : ', complex_human_instruction=None'}).images[0]
\`\`\``;
      case 'comfyui':
        return `With ComfyUI: put ${fileOf(format)} into models/loras, and a LoRA loader behind the ExtraModels Sana loader.`;
      case 'kohya':
        return `With OneTrainer and other programs that read kohya's names: ${fileOf(format)}.`;
      case 'lycoris':
        return `With LyCORIS, on a pipeline of diffusers, and with SimpleTuner:

\`\`\`python
from lycoris import create_lycoris_from_weights

network, _ = create_lycoris_from_weights(1.0, ${JSON.stringify(fileOf(format))}, pipe.transformer)
network.merge_to()
\`\`\``;
      case 'merged':
        return `The whole model with the adapter in it: ${fileOf(format)}.`;
    }
  });
  if (first !== 'merged') {
    parts.push(`With sana-train:

\`\`\`
sana-train sample ${base} --adapter ${fileOf(first)} --prompt ${JSON.stringify(prompt)}
\`\`\``);
  }
  return parts.join('\n\n');
}
