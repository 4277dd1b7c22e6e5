import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Engine } from '../../src/engine/engine.ts';
import { exportAdapter } from '../../src/export/export-adapter.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import type { AdapterConfig } from '../../src/lora/adapter-config.ts';
import { readAnyAdapter } from '../../src/lora/formats/read-any-adapter.ts';
import type { SanaTransformer } from '../../src/models/load-sana-transformer.ts';
import { createPredictor } from '../../src/models/predict-velocity.ts';
import type { SanaConditions } from '../../src/models/sana-feeds.ts';
import { sanaModules } from '../../src/models/sana-transformer-config.ts';
import { all, asTrained, others, plain } from './adapters.ts';

/** Exports every adapter of OUT/adapters for ComfyUI, in its own dtype, into OUT/comfyui. */
export async function writeComfyui(engine: Engine, model: SanaTransformer, out: string): Promise<void> {
  const folder = path.join(out, 'comfyui');
  await mkdir(folder, { recursive: true });
  for (const file of await readdir(path.join(out, 'adapters'))) {
    const dtype = (['bfloat16', 'float16', 'float32'] as const).find((name) => file.endsWith(`-${name}.safetensors`));
    const adapter = await readAnyAdapter(path.join(out, 'adapters', file));
    const output = path.join(folder, file);
    const base = { folder: out, model, engine };
    await exportAdapter(adapter, { format: 'comfyui', output, about: { title: file }, base, ...(dtype && { dtype }) });
  }
}

/** LoKr and LoHa of every shape and rank, and two of LyCORIS' LoRA. */
function lycorisConfigs(): ReadonlyMap<string, AdapterConfig> {
  const made = new Map<string, AdapterConfig>();
  const lokr = { ...plain, type: 'lokr', targetModules: all } as const;
  for (const rank of [1, 4, 16, 64]) {
    made.set(`lokr-r${rank}`, { ...lokr, rank, alpha: rank / 2 });
    made.set(`lokr-r${rank}-factor4`, { ...lokr, rank, alpha: rank, lokr: { factor: 4 } });
    made.set(`loha-r${rank}`, { ...plain, type: 'loha', targetModules: all, rank, alpha: 2 * rank });
  }
  for (const factor of [2, 3, 8, 10, 16]) {
    made.set(`lokr-r2-factor${factor}`, { ...lokr, rank: 2, alpha: 6, lokr: { factor } });
  }
  made.set('lokr-both', { ...lokr, rank: 1, alpha: 3, lokr: { decomposeBoth: true } });
  made.set('lokr-full', { ...lokr, lokr: { factor: 4, fullMatrix: true } });
  made.set('lokr-rslora', { ...lokr, rslora: true, alpha: 1 });
  made.set('lokr-everything', { ...lokr, rank: 3, targetModules: [...all, ...others] });
  made.set('loha-everything', { ...plain, type: 'loha', targetModules: [...all, ...others] });
  made.set('lora', { ...plain, targetModules: all, alpha: 6 });
  made.set('dora', { ...plain, type: 'dora', targetModules: all, alpha: 2 });
  return made;
}

/**
 * Writes LyCORIS' files of adapters of this project into OUT/lycoris-exported, and what they compute into
 * OUT/lycoris-exported-expected.safetensors. The LoKr and LoHa go into OUT/adapters too, as the LoRA that they are.
 * @returns what those in OUT/adapters compute
 */
export async function writeLycoris(
  engine: Engine,
  model: SanaTransformer,
  hiddenStates: Tensor,
  conditions: SanaConditions,
  out: string,
): Promise<ReadonlyMap<string, Tensor>> {
  const folder = path.join(out, 'lycoris-exported');
  await mkdir(folder, { recursive: true });
  const outputs = new Map<string, Tensor>();
  const asLora = new Map<string, Tensor>();
  const about = { title: 'interop' };
  for (const [name, config] of lycorisConfigs()) {
    const adapter = await asTrained(name, model, config);
    const predictor = await createPredictor(engine, model, [adapter.modules]);
    const trained = await predictor.predict(hiddenStates, conditions, [adapter.tensors]);
    for (const dtype of ['float32', 'bfloat16', 'float16'] as const) {
      const output = path.join(folder, `${name}-${dtype}.safetensors`);
      await exportAdapter(adapter, { format: 'lycoris', output, about, dtype });
      const { modules, tensors } = await readAnyAdapter(output, sanaModules(model.config));
      const read = await createPredictor(engine, model, [modules]);
      outputs.set(`${name}-${dtype}`, await read.predict(hiddenStates, conditions, [tensors]));
      await read.dispose();
    }
    if (config.type === 'lokr' || config.type === 'loha') {
      const output = path.join(out, 'adapters', `${name}-float32.safetensors`);
      await exportAdapter(adapter, { format: 'diffusers', output, about });
      asLora.set(`${name}-float32`, trained);
    }
    await predictor.dispose();
  }
  await writeSafetensors(path.join(out, 'lycoris-exported-expected.safetensors'), outputs);
  return asLora;
}

/** Reads what LyCORIS wrote into OUT/lycoris, and computes with it, into OUT/lycoris-expected.safetensors. */
export async function computeLycoris(
  engine: Engine,
  model: SanaTransformer,
  hiddenStates: Tensor,
  conditions: SanaConditions,
  out: string,
): Promise<void> {
  const folder = path.join(out, 'lycoris');
  const outputs = new Map<string, Tensor>();
  for (const file of await readdir(folder).catch((): string[] => [])) {
    const { modules, tensors } = await readAnyAdapter(path.join(folder, file), sanaModules(model.config));
    const predictor = await createPredictor(engine, model, [modules]);
    outputs.set(path.parse(file).name, await predictor.predict(hiddenStates, conditions, [tensors]));
    await predictor.dispose();
  }
  await writeSafetensors(path.join(out, 'lycoris-expected.safetensors'), outputs);
}
