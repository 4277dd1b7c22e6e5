import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

import type { Config } from '../config/schema.ts';
import type { TrainEvent } from '../events.ts';
import { UserError } from '../errors.ts';
import type { ExportFormat } from '../export/export-adapter.ts';
import { toFloat32 } from '../graph/tensor.ts';
import { writeBytes, writeText } from '../io/atomic-write.ts';
import { adapterFileName, readAdapter, writeAdapter } from '../lora/adapter-file.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import { sanaModules } from '../models/sana-transformer-config.ts';
import type { Params } from '../optim/optimizer.ts';
import { readFile } from 'node:fs/promises';
import { exportFolder, exportFormats, formatsOf, isAsTrained, runFileName } from './export-formats.ts';
import type { MetricsEvent, RunMetrics } from './run-metrics.ts';
import type { RunSampler } from './run-samples.ts';
import { makeSamples, samplePath } from './run-samples.ts';

/** What is exported. */
export interface ExportRunOptions {
  readonly config: Config;
  readonly runDir: string;
  readonly step: number;
  readonly modules: AdaptedModules;
  readonly parameters: Params;
  readonly sampler: RunSampler;
  /** What measured its samples. */
  readonly metrics?: Pick<RunMetrics, 'first' | 'last'>;
  readonly signal?: AbortSignal;
}

/**
 * Writes adapter/: the file that diffusers loads and a model card. Before it is reported as done the file is read back
 * and must hold the trained numbers, and make the same picture.
 *
 * @throws UserError when what was read back is not what was trained
 */
export async function* exportRun({
  config,
  runDir,
  step,
  modules,
  parameters,
  sampler,
  metrics,
  signal,
}: ExportRunOptions): AsyncGenerator<TrainEvent> {
  const folder = exportFolder(config, runDir);
  const path = join(folder, adapterFileName);
  yield { kind: 'stage', stage: 'export', done: 0, total: 1, what: 'adapter' };
  await mkdir(folder, { recursive: true });
  const formats = formatsOf(config, modules);
  if (formats.includes('diffusers') && isAsTrained(config, modules)) {
    yield* exportTrained({ config, runDir, step, modules, parameters, sampler, ...(signal && { signal }) }, path);
    const shown = config.export.output === null ? `adapter/${adapterFileName}` : path;
    yield { kind: 'export', format: 'diffusers', path: shown };
  }
  yield* exportFormats(config, runDir, step, { modules, tensors: parameters }, sampler);
  await writeText(join(folder, 'README.md'), modelCard(config, formats, sampler, metrics));
  yield { kind: 'stage', stage: 'export', done: 1, total: 1, what: 'adapter' };
}

/** Writes what was trained, reads it back, and makes the first picture again with it. */
async function* exportTrained(
  { config, runDir, step, modules, parameters, sampler, signal }: ExportRunOptions,
  path: string,
): AsyncGenerator<TrainEvent> {
  const { dtype } = config.export;
  await writeAdapter(path, { modules, tensors: parameters }, { rslora: config.lora.rslora, dtype: storage[dtype] });

  const back = await readAdapter(path, sanaModules(sampler.pipeline.transformerConfig));
  const tolerance = dtype === 'fp32' ? 0 : dtype === 'fp16' ? 2 ** -10 : 2 ** -7;
  for (const [name, { data }] of parameters) {
    const values = toFloat32(back.tensors.get(name) ?? { dtype: 'float32', shape: [0], data: new Float32Array() });
    const largest = data.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    if (
      values.length !== data.length ||
      values.some((value, i) => !(Math.abs(value - (data[i] ?? 0)) <= tolerance * largest))
    ) {
      throw new UserError(
        `${path} does not hold the trained weights (${name} differs); the disk may be failing. The last checkpoint is whole.`,
      );
    }
  }
  const [first] = sampler.samples;
  if (first && dtype === 'fp32') {
    const picture = join(runDir, samplePath(0, step));
    const trained = await readFile(picture).catch(() => undefined);
    if (trained) {
      const check = { ...sampler, samples: [first] };
      const loaded = new Map(
        [...back.tensors].map(([name, value]) => [
          name,
          { ...value, dtype: 'float32' as const, data: toFloat32(value) },
        ]),
      );
      for await (const event of makeSamples(check, step, back.modules, loaded, signal))
        if (event.kind === 'warning') yield event;
      if (Buffer.compare(trained, await readFile(picture)) !== 0) {
        await writeBytes(picture, trained);
        throw new UserError(
          `The exported adapter ${path} makes another picture than the trained one did; please report this as a bug.`,
        );
      }
    }
  }
}

const typeNames = { lora: 'LoRA', dora: 'DoRA', lokr: 'LoKr (LyCORIS)', loha: 'LoHa (LyCORIS)' } as const;

const storage = { fp32: 'float32', bf16: 'bfloat16', fp16: 'float16' } as const;

/** The model card: what was learned from what, how to load it, and its pictures. */
function modelCard(
  config: Config,
  formats: readonly ExportFormat[],
  { name, runDir, samples, chiName }: RunSampler,
  metrics?: ExportRunOptions['metrics'],
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
base_model: ${base}
library_name: diffusers${license === null ? '' : `\nlicense: ${JSON.stringify(license)}`}
tags:
  - sana
  - lora
  - text-to-image
instance_prompt: ${JSON.stringify(prompt)}
---

# ${title ?? name}

A ${typeNames[lora.type]} of Sana, trained with sana-train${author === null ? '' : ` by ${author}`}.
${triggers.length > 0 ? `\nUse it with: ${triggers.map((text) => `\`${text}\``).join(', ')}\n` : ''}
## How to use it

${usage(config, formats, base, prompt, runDir, chiName !== null)}

## How it was trained

| | |
| --- | --- |
${rows.map(([key, value]) => `| ${key} | ${value} |`).join('\n')}
${metrics?.last ? metricsTable(metrics.last, metrics.first) : ''}`;
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
