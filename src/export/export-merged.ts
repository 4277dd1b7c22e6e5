import { cp, mkdir, readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { UserError } from '../errors.ts';
import { toFloat32 } from '../graph/tensor.ts';
import { errorCode, fileError } from '../io/file-error.ts';
import { isTensorLocation, openSafetensors, readTensor, type Weights, writeSafetensors } from '../io/safetensors.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { mergeDelta, moduleDelta } from '../lora/module-delta.ts';
import { loadSanaTransformer, type SanaTransformer } from '../models/load-sana-transformer.ts';
import { compareForward } from './compare-forward.ts';
import { differs } from './differs.ts';
import type { ExportBase, ExportOptions, ExportResult } from './export-adapter.ts';
import { diffusersView, mergedWeights, nativeWeights } from './merged-weights.ts';
import { replacing } from './replacing.ts';
import { writeSharded } from './write-sharded.ts';

/** How far a merged weight may be from the exact one by rounding, relative to it. */
const roundings = { float32: 2 ** -22, bfloat16: 2 ** -8, float16: 2 ** -10 } as const;
/** How far a forward pass may be off then: all of the weights are rounded. */
const tolerances = { float32: 1e-3, bfloat16: 0.1, float16: 0.02 } as const;

/**
 * Writes the base model with the adapter in it, tensor by tensor, and checks it: the merged weights as they are read
 * back, and a forward pass beside that of the model with the adapter on it.
 * @throws UserError without a model, when the output is there already, or the check fails
 */
export async function exportMerged(
  adapter: Adapter,
  { output, dtype, layout = 'diffusers', replace = false }: ExportOptions,
  base: ExportBase | undefined,
): Promise<ExportResult> {
  if (!base) {
    throw new UserError('A merged model is the base model with the adapter in it; name the model with --model.');
  }
  const { model, engine, folder } = base;
  await checkFree(output, layout, replace);
  const merged = mergedWeights(model.weights, adapter, dtype);
  return await replacing(output, async (temporary) => {
    let back: SanaTransformer;
    if (layout === 'native') {
      await writeSafetensors(temporary, nativeWeights(merged), { metadata: { format: 'pt' } });
      const { tensors } = await openSafetensors(temporary);
      back = { config: model.config, weights: diffusersView(tensors, model.weights) };
    } else {
      await copyPipeline(folder, temporary);
      await writeSharded(join(temporary, 'transformer'), merged);
      back = await loadSanaTransformer(join(temporary, 'transformer'));
    }
    await checkWeights(output, adapter, model.weights, back.weights);
    const error = await compareForward(engine, { model, adapter }, { model: back });
    const dtypes = [...back.weights.values()].map((value) => value.dtype);
    const coarsest = (['bfloat16', 'float16'] as const).find((name) => dtypes.includes(name)) ?? 'float32';
    if (!(error <= tolerances[coarsest])) throw differs(output, 'a forward pass', error);
    return { path: output, error, forwardError: error };
  });
}

async function checkFree(output: string, layout: 'diffusers' | 'native', replace: boolean): Promise<void> {
  if (layout === 'native') {
    const found = await stat(output).catch(() => undefined);
    if (found?.isDirectory() === true) throw new UserError(`${output} is a folder; name a file with --output.`);
    return;
  }
  const present = await readdir(output).catch((error: unknown): string[] => {
    if (errorCode(error) === 'ENOENT') return [];
    throw fileError(error, 'write', output);
  });
  if (present.length === 0 || (replace && present.includes('model_index.json'))) return;
  throw new UserError(`${output} is not empty; name another folder with --output.`);
}

/** Copies a pipeline's folder but for the transformer's weights. */
async function copyPipeline(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await cp(from, to, {
    recursive: true,
    // A Hugging Face cache holds links into itself.
    dereference: true,
    filter: (path) => {
      const [top = '', ...rest] = relative(from, path).split(/[/\\]/);
      return !top.startsWith('.') && !(top === 'transformer' && rest.length > 0 && rest.join() !== 'config.json');
    },
  });
}

/** Every element of the weights that the adapter changes must be the exact one but for rounding. */
async function checkWeights(output: string, adapter: Adapter, before: Weights, after: Weights): Promise<void> {
  for (const name of before.keys()) {
    if (!after.has(name))
      throw new UserError(`${output} was not written: ${name} is missing; please report this as a bug.`);
  }
  for (const module of adapter.modules.keys()) {
    const [source, found] = [before.get(`${module}.weight`), after.get(`${module}.weight`)];
    if (!source || !found) continue;
    const [own, actual] = [
      isTensorLocation(source) ? await readTensor(source) : source,
      isTensorLocation(found) ? await readTensor(found) : found,
    ];
    const exact = mergeDelta(toFloat32(own).slice(), moduleDelta(adapter, module));
    const values = toFloat32(actual);
    const rounding = roundings[actual.dtype === 'float16' || actual.dtype === 'bfloat16' ? actual.dtype : 'float32'];
    // Half precision keeps nothing below 6e-8.
    const wrong = exact.findIndex(
      (value, i) => !(Math.abs((values[i] ?? Number.NaN) - value) <= rounding * Math.abs(value) + 6e-8),
    );
    if (wrong >= 0) {
      throw differs(
        output,
        `${module}.weight`,
        Math.abs(((values[wrong] ?? 0) - (exact[wrong] ?? 0)) / (exact[wrong] ?? 1)),
      );
    }
  }
}
