import { UserError } from '../errors.ts';
import type { DType, Tensor } from '../graph/tensor.ts';
import { quoted } from './json.ts';
import { fileOf, isTensorLocation } from './safetensors.ts';
import type { TensorLocation, Weights } from './safetensors.ts';

/** The dtypes that weights come in. */
const weightDTypes: readonly DType[] = ['float32', 'float16', 'bfloat16'];

/** What to call the place where weights come from: their file, or their files' folder by its first file. */
function sourceOf(weights: Weights, name?: string): string {
  const named = name === undefined ? undefined : weights.get(name);
  if (named !== undefined) return isTensorLocation(named) ? fileOf(named) : 'The model in memory';
  for (const value of weights.values()) if (isTensorLocation(value)) return fileOf(value);
  return 'The model in memory';
}

/** A shape for a message; -1 stands for any size. */
function shapeText(shape: readonly number[]): string {
  return `[${shape.map((size) => (size === -1 ? '?' : size)).join(', ')}]`;
}

/**
 * A model's tensor by its name, checked.
 * @param shape what the model's config asks for; -1 takes any size
 * @param dtypes what the model can compute with. @default float32, float16, bfloat16
 * @throws UserError that names the file, the tensor, what was expected and what came
 */
export function takeTensor(
  weights: Weights,
  name: string,
  shape: readonly number[],
  dtypes: readonly DType[] = weightDTypes,
): TensorLocation | Tensor {
  const found = weights.get(name);
  if (found === undefined) {
    throw new UserError(
      `${sourceOf(weights)} has no tensor ${quoted(name)}, expected with shape ${shapeText(shape)}; check that config.json is of the same model, or download it again.`,
    );
  }
  const fits = found.shape.length === shape.length && shape.every((size, i) => size === -1 || size === found.shape[i]);
  if (!fits) {
    throw new UserError(
      `${sourceOf(weights, name)} has tensor ${quoted(name)} with shape ${shapeText(found.shape)}, expected ${shapeText(shape)}; check that config.json is of the same model.`,
    );
  }
  if (!dtypes.includes(found.dtype)) {
    throw new UserError(
      `${sourceOf(weights, name)} has tensor ${quoted(name)} as ${found.dtype}, expected ${dtypes.join(' or ')}; convert it, or download the model again.`,
    );
  }
  return found;
}

/**
 * Checks that a model uses every tensor that its files hold: one left over means that the config is of another model.
 * @throws UserError that names the file and the first names that are not known
 */
export function checkNoUnknownTensors(weights: Weights, known: Iterable<string>): void {
  const names = new Set(known);
  const unknown = [...weights.keys()].filter((name) => !names.has(name));
  const [first] = unknown;
  if (first === undefined) return;
  const shown = unknown.slice(0, 3).map(quoted).join(', ');
  const more = unknown.length > 3 ? ` and ${unknown.length - 3} more` : '';
  throw new UserError(
    `${sourceOf(weights, first)} has tensors that the model does not know: ${shown}${more}; check that config.json is of the same model.`,
  );
}
