import { elementCount, tensor, type Tensor } from '../graph/tensor.ts';
import { digestedFile } from '../io/digested-file.ts';
import type { LazyTensor } from '../io/safetensors.ts';
import type { SanaTransformer } from './load-sana-transformer.ts';
import type { OutputPart } from './projection.ts';
import { inverse, outputScales, quantizeOutputs, readWeight } from './quantize-matrix.ts';
import { quantizedNames, quantizedParts } from './quantized-products.ts';
import { type SanaTransformerConfig, sanaModules } from './sana-transformer-config.ts';
import { smallWeight } from './weights.ts';

/** How weights are quantised. */
export interface QuantizeOptions {
  /** Where the quantised weights are kept; made when it is missing, of another key or damaged. */
  readonly file: string;
  /** Of the model's files. */
  readonly modelKey: string;
  /**
   * The largest size of a quantised weight: 127, or 64 on processors that add two products in 16 bits, where
   * 2 x 255 x 64 still fits.
   */
  readonly limit: 127 | 64;
  readonly signal?: AbortSignal;
}

// Raised when the same weights are quantised in another way.
const version = '2';

/**
 * The transformer with the weights of its blocks in 8 bits too, each output channel (and for the backward pass each
 * input channel) with a scale of its own. They lie in a file, from which they are mapped into memory like all others.
 * @throws UserError when the disk is full and the like
 */
export async function quantizeTransformer(model: SanaTransformer, options: QuantizeOptions): Promise<SanaTransformer> {
  const { file, signal } = options;
  const tensors = quantizedTensors(model, options);
  const quantized = await digestedFile({ file, metadata: metadataOf(options), tensors, ...(signal && { signal }) });
  return { ...model, weights: new Map([...model.weights, ...quantized]) };
}

/** What a file must say of itself to be used. */
function metadataOf({ modelKey, limit }: QuantizeOptions): Record<string, string> {
  return { format: `sana-train int8 ${version}`, key: modelKey, limit: String(limit) };
}

/** A matrix that is quantised: a module's, or that of a part of its outputs. */
interface QuantizedKernel {
  readonly module: string;
  readonly part: OutputPart;
  readonly out: number;
  readonly inner: number;
}

/** The matrices that are quantised: those of all linear maps of the blocks. */
export function quantizedKernels(config: SanaTransformerConfig): readonly QuantizedKernel[] {
  return [...sanaModules(config)].flatMap(([module, { inFeatures: inner, outFeatures }]) => {
    if (!module.startsWith('transformer_blocks.')) return [];
    const count = quantizedParts(module, outFeatures);
    return Array.from({ length: count }, (_, index) => {
      return { module, part: { index, count }, out: outFeatures / count, inner };
    });
  });
}

/** Weights beside them that are large and stored in 16 bits: kept in 32, they need not be widened in every step. */
function widenedNames({ config, weights }: SanaTransformer): readonly string[] {
  const kernels = new Set(quantizedKernels(config).map(({ module }) => `${module}.weight`));
  return [...weights].flatMap(([name, { dtype, shape }]) =>
    dtype !== 'float32' && !kernels.has(name) && elementCount(shape) > smallWeight ? [name] : [],
  );
}

/** What the file holds beside its digest. */
function quantizedTensors(model: SanaTransformer, { limit }: QuantizeOptions): ReadonlyMap<string, LazyTensor> {
  const { config, weights } = model;
  const tensors = new Map<string, LazyTensor>();
  const add = (
    name: string,
    dtype: 'float32' | 'int8',
    shape: readonly number[],
    read: () => Promise<Tensor>,
  ): void => {
    tensors.set(name, { dtype, shape, read });
  };
  for (const { module, part, out, inner } of quantizedKernels(config)) {
    const names = quantizedNames(module, part);
    const kernel = async (): Promise<Float32Array> => {
      const all = await readWeight(weights, `${module}.weight`);
      return all.subarray(out * inner * part.index, out * inner * (part.index + 1));
    };
    add(names.forwardScales, 'float32', [out], async () => {
      return tensor('float32', [out], outputScales(await kernel(), out, inner, limit));
    });
    add(names.backwardScales, 'float32', [inner], async () => {
      return tensor('float32', [inner], columnScales(await kernel(), out, inner, limit));
    });
    add(names.forward, 'int8', [inner, out], async () => {
      const values = await kernel();
      return tensor('int8', [inner, out], quantizeOutputs(values, out, inner, outputScales(values, out, inner, limit)));
    });
    add(names.backward, 'int8', [out, inner], async () => {
      const values = await kernel();
      return tensor('int8', [out, inner], quantizeColumns(values, out, inner, columnScales(values, out, inner, limit)));
    });
  }
  for (const name of widenedNames(model)) {
    const shape = weights.get(name)?.shape ?? [];
    add(name, 'float32', shape, async () => tensor('float32', shape, await readWeight(weights, name)));
  }
  return tensors;
}

function columnScales(kernel: Float32Array, out: number, inner: number, limit: number): Float32Array {
  const scales = new Float32Array(inner);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inner; i++) scales[i] = Math.max(scales[i] ?? 0, Math.abs(kernel[o * inner + i] ?? 0));
  }
  return scales.map((largest) => largest / limit);
}

/** [out, inner] -> int8 [out, inner], columns by their scales. */
function quantizeColumns(kernel: Float32Array, out: number, inner: number, scales: Float32Array): Int8Array {
  const factors = scales.map(inverse);
  const values = new Int8Array(kernel.length);
  for (let o = 0; o < out; o++) {
    for (let i = o * inner, c = 0; c < inner; i++, c++) values[i] = Math.round((kernel[i] ?? 0) * (factors[c] ?? 0));
  }
  return values;
}
