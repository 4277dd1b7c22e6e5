import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Engine } from '../../src/engine/engine.ts';
import { exportAdapter } from '../../src/export/export-adapter.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { readAnyAdapter } from '../../src/lora/formats/read-any-adapter.ts';
import type { SanaTransformer } from '../../src/models/load-sana-transformer.ts';
import { createPredictor } from '../../src/models/predict-velocity.ts';
import type { SanaConditions } from '../../src/models/sana-feeds.ts';
import { sanaModules } from '../../src/models/sana-transformer-config.ts';

/** Exports every adapter of OUT/adapters for ComfyUI, in its own dtype, into OUT/comfyui. */
export async function writeComfyui(out: string): Promise<void> {
  const folder = path.join(out, 'comfyui');
  await mkdir(folder, { recursive: true });
  for (const file of await readdir(path.join(out, 'adapters'))) {
    const dtype = (['bfloat16', 'float16', 'float32'] as const).find((name) => file.endsWith(`-${name}.safetensors`));
    const adapter = await readAnyAdapter(path.join(out, 'adapters', file));
    const output = path.join(folder, file);
    await exportAdapter(adapter, { format: 'comfyui', output, about: { title: file }, ...(dtype && { dtype }) });
  }
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
