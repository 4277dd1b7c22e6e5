import { float32, toFloat32 } from '../graph/tensor.ts';
import { isTensorLocation, readTensor, type Weights } from '../io/safetensors.ts';
import { UserError } from '../errors.ts';
import type { Params } from '../optim/optimizer.ts';
import type { Random } from '../random.ts';
import { type AdaptedModules, parameterName, parameterShapes } from './adapter-config.ts';
import { type Loha, type Lokr, lycorisShapes, type LycorisPart } from './lycoris.ts';

/**
 * How A begins: 'gaussian' is N(0, 1/r), what diffusers' trainers use; 'kaiming' is uniform within 1/sqrt(in), peft's
 * default. B begins at zero in both, so that an untrained adapter changes nothing.
 */
export type AdapterInit = 'gaussian' | 'kaiming';

/**
 * A new adapter's tensors. Each module draws from a generator of its own name, so that adding a module leaves the
 * others' start as it was.
 *
 * LoKr and LoHa begin as LyCORIS begins them, whatever `init` says.
 *
 * @param weights the model's, whose rows' norms are where DoRA's magnitudes begin
 */
export async function createAdapter(
  modules: AdaptedModules,
  weights: Weights,
  random: Random,
  init: AdapterInit = 'gaussian',
): Promise<Params> {
  const parameters = new Map<string, ReturnType<typeof float32>>();
  for (const [name, module] of modules) {
    const own = random.fork(name);
    if (module.lycoris) {
      for (const [part, shape] of lycorisShapes(module, module.lycoris)) {
        const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
        const draw = lycorisStart(module.lycoris, part, own, data.length / (shape[0] ?? 1));
        for (let i = 0; i < data.length; i++) data[i] = draw();
        parameters.set(parameterName(name, part), float32(shape, data));
      }
      continue;
    }
    for (const [parameter, shape] of parameterShapes(name, module)) {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      if (parameter === parameterName(name, 'lora_A')) {
        const fanIn = data.length / module.rank;
        for (let i = 0; i < data.length; i++) {
          data[i] = init === 'gaussian' ? own.normal() / module.rank : (2 * own.uniform() - 1) / Math.sqrt(fanIn);
        }
      } else if (module.dora && parameter === parameterName(name, 'lora_magnitude_vector')) {
        data.set(await rowNorms(weights, `${name}.weight`, module.outFeatures));
      }
      parameters.set(parameter, float32(shape, data));
    }
  }
  return parameters;
}

/**
 * How a tensor of LyCORIS' begins (modules/lokr.py and loha.py): of LoKr the last factor of w2 is zero and the others are
 * uniform within 1 / sqrt(fan in), PyTorch's own; of LoHa w2_a is zero and the others are normal.
 */
function lycorisStart(lycoris: Lokr | Loha, part: LycorisPart, random: Random, fanIn: number): () => number {
  if (lycoris.kind === 'loha') {
    if (part === 'hada_w2_a') return () => 0;
    const deviation = part === 'hada_w1_a' ? 0.1 : 1;
    return () => deviation * random.normal();
  }
  if (part === 'lokr_w2' || part === 'lokr_w2_b') return () => 0;
  return () => (2 * random.uniform() - 1) / Math.sqrt(fanIn);
}

async function rowNorms(weights: Weights, name: string, rows: number): Promise<Float32Array> {
  const found = weights.get(name);
  if (!found) throw new UserError(`The weight ${name} is missing; DoRA needs it to begin with.`);
  const values = toFloat32(isTensorLocation(found) ? await readTensor(found) : found);
  const width = values.length / rows;
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (const value of values.subarray(row * width, (row + 1) * width)) sum += value * value;
    return Math.sqrt(sum);
  });
}
