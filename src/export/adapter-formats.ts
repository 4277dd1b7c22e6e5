import { UserError } from '../errors.ts';
import { float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { openSafetensors, readTensor } from '../io/safetensors.ts';
import { type AdapterPart, parameterName, parameterShapes } from '../lora/adapter-config.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { magnitudesKey, packMagnitudes } from '../lora/formats/comfyui-magnitudes.ts';
import { nativeModule } from '../lora/formats/native-names.ts';
import { flatten } from '../lora/formats/spellings.ts';
import { lycorisShapes } from '../lora/lycoris.ts';
import { addDelta, type LowRankDelta, lowRankDelta, moduleDelta, rowNorms } from '../lora/module-delta.ts';
import { adapterOf } from '../lora/resize-adapter.ts';

/** A file's tensors by their names in it. */
export type FileTensors = ReadonlyMap<string, Tensor>;

/** A module's weight in the base model in fp32, [out, in], the caller's to change. */
export type BaseWeight = (module: string) => Promise<Float32Array>;

/**
 * An adapter for diffusers before 0.34, which ignores alpha and takes the rank of one layer for all: the scale is
 * multiplied into B, and lower ranks are filled up with zeros.
 */
export function foldAlpha(adapter: Adapter): Adapter {
  const rank = Math.max(...[...adapter.modules.values()].map((module) => module.rank));
  const deltas = [...adapter.modules.keys()].map(
    (name) => [name, padded(lowRankDelta(moduleDelta(adapter, name)), rank)] as const,
  );
  return adapterOf(new Map(deltas));
}

/**
 * The same adapter with the factors of each product of like size, by powers of two, which lose nothing: an fp16 number
 * below 6e-5 has fewer digits, and after a short training all of B may be.
 */
export function balanced({ modules, tensors }: Adapter): Adapter {
  const changed = new Map(tensors);
  for (const [name, module] of modules) {
    const magnitude = parameterName(name, 'lora_magnitude_vector');
    const parts = [...parameterShapes(name, module).keys()].filter((key) => key !== magnitude);
    const sizes = parts.map((key) => Math.log2(largest(tensors.get(key))));
    const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
    if (!Number.isFinite(mean)) continue;
    let left = 0;
    for (const [i, key] of parts.entries()) {
      // The exponents add up to zero, so that the product stays as it is.
      const exponent = i + 1 < parts.length ? Math.round(mean - (sizes[i] ?? 0)) : -left;
      left += exponent;
      changed.set(key, times(tensors.get(key), 2 ** exponent));
    }
  }
  return { modules, tensors: changed };
}

function largest(values: Tensor | undefined): number {
  return values ? toFloat32(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0) : 0;
}

function times(values: Tensor | undefined, factor: number): Tensor {
  if (!values) throw new RangeError('balanced: the adapter is not whole');
  const data = toFloat32(values);
  return float32(values.shape, factor === 1 ? data : data.map((x) => x * factor));
}

function padded(delta: LowRankDelta, rank: number): LowRankDelta {
  if (delta.rank === rank) return delta;
  const rows = delta.b.length / delta.rank;
  const a = new Float32Array((delta.a.length / delta.rank) * rank);
  a.set(delta.a);
  const b = new Float32Array(rows * rank);
  for (let i = 0; i < rows; i++) b.set(delta.b.subarray(i * delta.rank, (i + 1) * delta.rank), i * rank);
  return { ...delta, a, b, rank };
}

/** A tensor of the row lengths as LyCORIS and ComfyUI have it: [out, 1], and of a convolution [out, 1, 1, 1]. */
function doraScale(magnitude: Float32Array, isConvolution: boolean): Tensor {
  return float32([magnitude.length, 1, ...(isConvolution ? [1, 1] : [])], magnitude);
}

/**
 * kohya's spelling: `lora_unet_` and the name with underscores, lora_down, lora_up and alpha (sd-scripts,
 * networks/lora.py); OneTrainer writes and reads the same. LyCORIS' own has another prefix. LoKr and LoHa keep their
 * tensors; their scale goes into the first, since LyCORIS ignores it for two whole matrices, and 4.1.3 multiplies by it
 * twice when it merges.
 */
export function kohyaTensors(
  { modules, tensors }: Adapter,
  prefix: 'lora_unet_' | 'lycoris_' = 'lora_unet_',
): FileTensors {
  const out = new Map<string, Tensor>();
  for (const [name, module] of modules) {
    const base = prefix + flatten(name);
    const shapes = parameterShapes(name, module);
    const copy = (part: AdapterPart, to: string, factor = 1): void => {
      const [found, shape] = [tensors.get(parameterName(name, part)), shapes.get(parameterName(name, part))];
      if (found && shape) out.set(`${base}.${to}`, { ...(factor === 1 ? found : times(found, factor)), shape });
    };
    if (module.lycoris) {
      for (const [i, [part]] of lycorisShapes(module, module.lycoris).entries()) {
        copy(part, part, i === 0 ? module.scale : 1);
      }
      out.set(`${base}.alpha`, float32([], [module.rank]));
      continue;
    }
    copy('lora_A', 'lora_down.weight');
    copy('lora_B', 'lora_up.weight');
    out.set(`${base}.alpha`, float32([], [module.scale * module.rank]));
    const magnitude = module.dora ? tensors.get(parameterName(name, 'lora_magnitude_vector')) : undefined;
    if (magnitude) out.set(`${base}.dora_scale`, doraScale(toFloat32(magnitude), module.kernel !== undefined));
  }
  return out;
}

/**
 * NVlabs' names, as ComfyUI's LoRA loader looks for them. q, k, v (and k, v of cross-attention) are one layer there:
 * their A under each other, their B block diagonal, zero rows where one has no adapter.
 *
 * Of a DoRA, m (W + s B A) / ||W + s B A|| by rows, ComfyUI computes `dora_scale` (W + s B A) / ||W|| (weight_decompose of
 * comfy/weight_adapter/base.py: the lengths are those of the model's own rows). So the file's is m ||W|| / ||W + s B A||,
 * and its header has the magnitudes for who reads it back.
 *
 * @param baseWeight for DoRA
 * @throws UserError for a layer that NVlabs' model does not have, or a DoRA without the model
 */
export async function comfyuiTensors(
  adapter: Adapter,
  baseWeight?: BaseWeight,
): Promise<{ readonly tensors: FileTensors; readonly metadata: Readonly<Record<string, string>> }> {
  const out = new Map<string, Tensor>();
  const magnitudes = new Map<string, Float32Array>();
  for (const [name, module] of adapter.modules) {
    const native = nativeModule(name);
    if (!native) throw new UserError(`${name} has no place in NVlabs' model, so ComfyUI cannot load its adapter.`);
    const base = `diffusion_model.${native.name}`;
    if (out.has(`${base}.alpha`)) continue;
    // The scale that the first part has goes into alpha: where all have it, as is usual, no number is rounded again.
    const shared = module.scale === 0 ? 1 : module.scale;
    const parts = native.parts.map((part) => {
      const own = adapter.modules.get(part);
      if (!own) return undefined;
      const modules = new Map([[part, { ...own, scale: own.scale / shared }]]);
      return lowRankDelta(moduleDelta({ modules, tensors: adapter.tensors }, part));
    });
    const { a, b, rank } = fuse(parts, module.outFeatures);
    const [rows, isConvolution] = [b.length / rank, module.kernel !== undefined];
    const kernel = module.kernel ?? 1;
    out.set(
      `${base}.lora_A.weight`,
      float32(isConvolution ? [rank, module.inFeatures, kernel, kernel] : [rank, module.inFeatures], a),
    );
    out.set(`${base}.lora_B.weight`, float32(isConvolution ? [rows, rank, 1, 1] : [rows, rank], b));
    out.set(`${base}.alpha`, float32([], [shared * rank]));
    if (parts.every((part) => part?.magnitude === undefined)) continue;
    if (!baseWeight) {
      throw new UserError(
        "ComfyUI scales a DoRA by the lengths of the base model's rows, so its weights are needed; name the model with --model.",
      );
    }
    const [magnitude, scales] = [new Float32Array(rows), new Float32Array(rows)];
    for (const [i, part] of native.parts.entries()) {
      const own = parts[i]?.magnitude;
      if (parts[i] && !own) {
        throw new UserError(
          `${part} has no magnitudes and its neighbours in ${native.name} have; ComfyUI cannot load that.`,
        );
      }
      const { before, after } = rowLengths(adapter, part, await baseWeight(part), module.outFeatures);
      for (const [j, length] of before.entries()) {
        const at = i * module.outFeatures + j;
        magnitude[at] = own?.[j] ?? length;
        scales[at] = own ? ((own[j] ?? 0) * length) / (after[j] ?? 0) : length;
      }
    }
    magnitudes.set(base, magnitude);
    out.set(`${base}.dora_scale`, doraScale(scales, isConvolution));
  }
  return {
    tensors: out,
    metadata: magnitudes.size === 0 ? {} : { [magnitudesKey]: packMagnitudes(magnitudes) },
  };
}

/** The lengths of a weight's rows, and of those with s B A added; the weight is changed. */
function rowLengths(
  adapter: Adapter,
  name: string,
  weight: Float32Array,
  rows: number,
): { readonly before: Float32Array; readonly after: Float32Array } {
  const before = rowNorms(weight, rows);
  if (adapter.modules.has(name)) addDelta(weight, moduleDelta(adapter, name));
  return { before, after: rowNorms(weight, rows) };
}

/**
 * The largest relative difference between the magnitudes of an adapter and those that a file for ComfyUI acts with, on
 * the model's weights.
 */
export async function comfyuiDifference(
  adapter: Adapter,
  path: string,
  baseWeight: BaseWeight,
): Promise<{ readonly error: number; readonly module: string }> {
  const { tensors } = await openSafetensors(path);
  let worst = { error: 0, module: '' };
  for (const [name, { dora, outFeatures }] of adapter.modules) {
    const native = nativeModule(name);
    const found = native && tensors.get(`diffusion_model.${native.name}.dora_scale`);
    const magnitude = dora ? moduleDelta(adapter, name).magnitude : undefined;
    if (!magnitude || !native) continue;
    const scales = found ? toFloat32(await readTensor(found)) : new Float32Array();
    const first = native.parts.indexOf(name) * outFeatures;
    const { before, after } = rowLengths(adapter, name, await baseWeight(name), outFeatures);
    let [size, difference] = [0, 0];
    for (const [j, wanted] of magnitude.entries()) {
      const acts = ((scales[first + j] ?? Number.NaN) * (after[j] ?? 0)) / (before[j] ?? 0);
      size += wanted * wanted;
      difference += (acts - wanted) ** 2;
    }
    const error = Math.sqrt(difference / size);
    if (!(error <= worst.error)) worst = { error, module: name };
  }
  return worst;
}

/** A = rows of each part's A, B = block diagonal of each part's B. @param rows of each part */
function fuse(parts: readonly (LowRankDelta | undefined)[], rows: number): Pick<LowRankDelta, 'a' | 'b' | 'rank'> {
  const rank = parts.reduce((sum, part) => sum + (part?.rank ?? 0), 0);
  const width = parts.reduce((found, part) => (part ? part.a.length / part.rank : found), 0);
  const a = new Float32Array(rank * width);
  const b = new Float32Array(parts.length * rows * rank);
  let column = 0;
  for (const [i, part] of parts.entries()) {
    if (!part) continue;
    a.set(part.a, column * width);
    for (let row = 0; row < rows; row++) {
      b.set(part.b.subarray(row * part.rank, (row + 1) * part.rank), (i * rows + row) * rank + column);
    }
    column += part.rank;
  }
  return { a, b, rank };
}
