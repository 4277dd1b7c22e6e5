import { UserError } from '../errors.ts';
import { float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { type AdapterPart, parameterName, parameterShapes } from '../lora/adapter-config.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { nativeModule } from '../lora/formats/native-names.ts';
import { flatten } from '../lora/formats/spellings.ts';
import { lycorisShapes } from '../lora/lycoris.ts';
import { type LowRankDelta, lowRankDelta, moduleDelta } from '../lora/module-delta.ts';
import { adapterOf } from '../lora/resize-adapter.ts';

/** A file's tensors by their names in it. */
export type FileTensors = ReadonlyMap<string, Tensor>;

/** The lengths of the rows of a module's weight in the base model. */
export type BaseRowNorms = (module: string) => Promise<Float32Array>;

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
 * @param baseRowNorms for DoRA: what a part without an adapter keeps as its magnitudes
 * @throws UserError for a layer that NVlabs' model does not have, or where the row norms would be needed
 */
export async function comfyuiTensors(adapter: Adapter, baseRowNorms?: BaseRowNorms): Promise<FileTensors> {
  const out = new Map<string, Tensor>();
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
    const magnitude = new Float32Array(rows);
    for (const [i, part] of native.parts.entries()) {
      const own = parts[i]?.magnitude;
      if (!own && (parts[i] || !baseRowNorms)) {
        throw new UserError(
          parts[i]
            ? `${part} has no magnitudes and its neighbours in ${native.name} have; ComfyUI cannot load that.`
            : `${native.name} is one layer in ComfyUI, and this DoRA leaves ${part} in it as it is, so the base model's weights are needed; name the model with --model.`,
        );
      }
      magnitude.set(own ?? (await baseRowNorms?.(part)) ?? [], i * module.outFeatures);
    }
    out.set(`${base}.dora_scale`, doraScale(magnitude, isConvolution));
  }
  return out;
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
