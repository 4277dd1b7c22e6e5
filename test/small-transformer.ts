import path from 'node:path';
import { elementCount, float32, type Tensor } from '../src/graph/tensor.ts';
import { adaptedModules, type AdaptedModules, type AdapterConfig } from '../src/lora/adapter-config.ts';
import type { StepResult, TrainingBatch } from '../src/lora/training-step.ts';
import { cosine } from '../src/metrics/cosine.ts';
import { loadSanaTransformer, type SanaTransformer } from '../src/models/load-sana-transformer.ts';
import { sanaModules } from '../src/models/sana-transformer-config.ts';
import type { Params } from '../src/optim/optimizer.ts';
import { createRandom, type Random } from '../src/random.ts';

/** A transformer of the reference cases: 'plain' has 2 layers of width 32, 'affine' 4 of 40 and patches of 2 x 2. */
export function smallTransformer(variant: 'plain' | 'affine'): Promise<SanaTransformer> {
  return loadSanaTransformer(path.join(import.meta.dirname, 'parity', 'goldens', variant, 'pipeline', 'transformer'));
}

/** The modules of an adapter of rank 4 and scale 1 unless told otherwise. */
export function smallAdapter({ config }: SanaTransformer, change: Partial<AdapterConfig> = {}): AdaptedModules {
  return adaptedModules(sanaModules(config), {
    type: 'lora',
    rank: 4,
    alpha: 4,
    rankPattern: {},
    alphaPattern: {},
    targetModules: ['to_q', 'to_k', 'to_v', 'to_out.0', 'conv_inverted', 'conv_point'],
    rslora: false,
    dropout: 0,
    ...change,
  });
}

/** Tensors as if trained: each number moved by a normal draw of a tenth. */
export function asTrained(parameters: Params, random: Random): Params {
  return new Map(
    [...parameters].map(([name, { shape, data }]) => [
      name,
      float32(
        shape,
        data.map((x) => x + 0.1 * random.normal()),
      ),
    ]),
  );
}

/** Random examples of 4 x 6 latents and 5 text rows, of which the last sample has 2 of padding. */
export function randomBatch(seed: number, size = 2): TrainingBatch {
  const random = createRandom(`batch ${seed}`);
  const draw = (...shape: number[]): Tensor => float32(shape, random.normals(elementCount(shape)));
  const mask = new Float32Array(size * 5).fill(1).fill(0, size * 5 - 2);
  return {
    latents: draw(size, 8, 4, 6),
    noise: draw(size, 8, 4, 6),
    sigmas: Array.from({ length: size }, () => random.uniform()),
    promptEmbeds: draw(size, 5, 24),
    promptAttentionMask: float32([size, 5], mask),
  };
}

/** The cosine of two sets of gradients of the same parameters. */
export function cosineOfGradients(a: StepResult, b: StepResult): number {
  const flat = ({ gradients }: StepResult): Float32Array =>
    Float32Array.from([...a.gradients.keys()].flatMap((name) => [...(gradients.get(name)?.data ?? [])]));
  return cosine(flat(a), flat(b));
}
