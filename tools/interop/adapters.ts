import path from 'node:path';
import type { Engine } from '../../src/engine/engine.ts';
import { float32, type Tensor, toFloat32 } from '../../src/graph/tensor.ts';
import { adaptedModules, type AdapterConfig } from '../../src/lora/adapter-config.ts';
import { type Adapter, readAdapter, writeAdapter } from '../../src/lora/adapter-file.ts';
import { createAdapter } from '../../src/lora/create-adapter.ts';
import type { SanaTransformer } from '../../src/models/load-sana-transformer.ts';
import { createPredictor } from '../../src/models/predict-velocity.ts';
import type { SanaConditions } from '../../src/models/sana-feeds.ts';
import { sanaModules } from '../../src/models/sana-transformer-config.ts';
import { createRandom } from '../../src/random.ts';

type FileDType = 'float32' | 'bfloat16' | 'float16';

const attention = ['to_q', 'to_k', 'to_v'];
/** All layers within the blocks that an adapter can change. */
export const all = [...attention, 'to_out.0', 'conv_inverted', 'conv_point'];
/** Those outside of the blocks. */
export const others = ['patch_embed.proj', 'time_embed.linear', 'linear_1', 'linear_2', 'proj_out'];

/** An adapter's settings as `plain` has them. */
export const plain: AdapterConfig = {
  type: 'lora',
  rank: 4,
  alpha: 4,
  rankPattern: {},
  alphaPattern: {},
  targetModules: attention,
  rslora: false,
  dropout: 0,
};

/** The adapters that clients are to load, by name: every kind, target and rank, and what patterns can say. */
function configs(): ReadonlyMap<string, AdapterConfig> {
  const made = new Map<string, AdapterConfig>();
  for (const type of ['lora', 'dora'] as const) {
    for (const [targets, targetModules] of Object.entries({ attention, all })) {
      for (const rank of [1, 4, 64]) {
        for (const rslora of [false, true]) {
          const name = `${type}-${targets}-r${rank}${rslora ? '-rslora' : ''}`;
          made.set(name, { ...plain, type, targetModules, rank, alpha: rank * (rslora ? 0.5 : 1.5), rslora });
        }
      }
    }
    made.set(`${type}-everything`, { ...plain, type, targetModules: [...all, ...others], alpha: 6 });
    made.set(`${type}-patterns`, {
      ...plain,
      type,
      targetModules: all,
      rankPattern: { 'attn2.to_k': 2, 'transformer_blocks.1.ff.conv_point': 7 },
      alphaPattern: { to_q: 3, 'transformer_blocks.2.attn1.to_v': 0.5 },
    });
  }
  return made;
}

/** An adapter as if trained: B is no longer zero, magnitudes no longer the norms of W. */
export async function asTrained(name: string, model: SanaTransformer, config: AdapterConfig): Promise<Adapter> {
  const modules = adaptedModules(sanaModules(model.config), config);
  const random = createRandom(name);
  const tensors = new Map<string, Tensor>();
  for (const [key, start] of await createAdapter(modules, model.weights, random.fork('start'))) {
    const own = random.fork(key);
    const size = key.startsWith('lycoris_') ? 0.25 : 0.1;
    const values = toFloat32(start).map((x) =>
      key.includes('magnitude') ? x * (1 + 0.1 * own.normal()) : size * own.normal(),
    );
    tensors.set(key, float32(start.shape, values));
  }
  return { modules, tensors };
}

/**
 * Writes every adapter in every dtype into a folder, and reads each back to compute with what the file holds.
 * @returns the transformer's output with each, by the file's name without its ending
 */
export async function writeAdapters(
  engine: Engine,
  model: SanaTransformer,
  hiddenStates: Tensor,
  conditions: SanaConditions,
  folder: string,
): Promise<ReadonlyMap<string, Tensor>> {
  const known = sanaModules(model.config);
  const outputs = new Map<string, Tensor>();
  for (const [name, config] of configs()) {
    const { modules, tensors } = await asTrained(name, model, config);
    const predictor = await createPredictor(engine, model, [modules]);
    for (const dtype of ['float32', 'bfloat16', 'float16'] as const satisfies readonly FileDType[]) {
      const file = path.join(folder, `${name}-${dtype}.safetensors`);
      await writeAdapter(file, { modules, tensors }, { dtype, rslora: config.rslora });
      const read = await readAdapter(file, known);
      outputs.set(`${name}-${dtype}`, await predictor.predict(hiddenStates, conditions, [read.tensors]));
    }
    await predictor.dispose();
  }
  return outputs;
}
