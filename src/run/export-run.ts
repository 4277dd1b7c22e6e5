import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

import type { Config } from '../config/schema.ts';
import type { TrainEvent } from '../events.ts';
import { UserError } from '../errors.ts';
import { toFloat32 } from '../graph/tensor.ts';
import { writeBytes, writeText } from '../io/atomic-write.ts';
import { adapterFileName, readAdapter, writeAdapter } from '../lora/adapter-file.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import { sanaModules } from '../models/sana-transformer-config.ts';
import type { Params } from '../optim/optimizer.ts';
import { readFile } from 'node:fs/promises';
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
  signal,
}: ExportRunOptions): AsyncGenerator<TrainEvent> {
  const folder = join(runDir, 'adapter');
  const path = join(folder, adapterFileName);
  const { dtype } = config.export;
  yield { kind: 'stage', stage: 'export', done: 0, total: 1, what: 'adapter' };
  await mkdir(folder, { recursive: true });
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
  await writeText(join(folder, 'README.md'), modelCard(config, sampler));
  yield { kind: 'export', format: 'diffusers', path: join('adapter', adapterFileName) };
  yield { kind: 'stage', stage: 'export', done: 1, total: 1, what: 'adapter' };
}

const storage = { fp32: 'float32', bf16: 'bfloat16', fp16: 'float16' } as const;

/** The model card: what was learned from what, how to load it, and its pictures. */
function modelCard(config: Config, { name, samples, chiName }: RunSampler): string {
  const { train, lora, model } = config;
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
library_name: diffusers
tags:
  - sana
  - lora
  - text-to-image
instance_prompt: ${JSON.stringify(prompt)}
---

# ${name}

A ${lora.type === 'dora' ? 'DoRA' : 'LoRA'} of Sana, trained with sana-train.
${triggers.length > 0 ? `\nUse it with: ${triggers.map((text) => `\`${text}\``).join(', ')}\n` : ''}
## How to use it

With diffusers 0.34 or later:

\`\`\`python
import torch
from diffusers import SanaPipeline

pipe = SanaPipeline.from_pretrained(${JSON.stringify(base)}, torch_dtype=torch.float32)
pipe.load_lora_weights(".", weight_name="${adapterFileName}")
image = pipe(${JSON.stringify(prompt)}${chiName === null ? ', complex_human_instruction=None' : ''}).images[0]
\`\`\`

With sana-train:

\`\`\`
sana-train sample ${base} --adapter ${adapterFileName} --prompt ${JSON.stringify(prompt)}
\`\`\`

## How it was trained

| | |
| --- | --- |
${rows.map(([key, value]) => `| ${key} | ${value} |`).join('\n')}
`;
}
