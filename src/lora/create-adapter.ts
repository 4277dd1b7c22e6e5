import { float32, toFloat32 } from '../graph/tensor.ts';
import { isTensorLocation, readTensor, type Weights } from '../io/safetensors.ts';
import { UserError } from '../errors.ts';
import type { Params } from '../optim/optimizer.ts';
import type { Random } from '../random.ts';
import { type AdaptedModules, parameterName, parameterShapes } from './adapter-config.ts';

/**
 * How A begins: 'gaussian' is N(0, 1/r), what diffusers' trainers use; 'kaiming' is uniform within 1/sqrt(in), peft's
 * default. B begins at zero in both, so that an untrained adapter changes nothing.
 */
export type AdapterInit = 'gaussian' | 'kaiming';

/**
 * A new adapter's tensors. Each module draws from a generator of its own name, so that adding a module leaves the
 * others' start as it was.
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
