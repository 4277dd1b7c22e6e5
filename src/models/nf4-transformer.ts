import { nf4Block, nf4Levels } from '../graph/ops/nf4.ts';
import { tensor } from '../graph/tensor.ts';
import { digestedFile } from '../io/digested-file.ts';
import type { LazyTensor } from '../io/safetensors.ts';
import type { SanaTransformer } from './load-sana-transformer.ts';
import { readWeight } from './quantize-matrix.ts';
import { sanaModules, type SanaTransformerConfig } from './sana-transformer-config.ts';
import { nf4Names } from './weights.ts';

/** Where weights in 4 bits are kept. */
export interface Nf4Options {
  /** Made when it is missing, of another key or damaged. */
  readonly file: string;
  /** Of the model's files. */
  readonly modelKey: string;
  readonly signal?: AbortSignal;
}

// Raised when the same weights are stored in another way.
const version = '1';

/**
 * The transformer with the matrices of its blocks in 4 bits (see dequantizeNf4), as QLoRA keeps a frozen model (arXiv
 * 2305.14314): each number is the nearest of 16 levels of the largest among the 64 that it shares a scale with, 4.5 bits
 * a number. They lie in a file, from which they are mapped into memory like all others.
 * @throws UserError when the disk is full and the like
 */
export async function nf4Transformer(
  model: SanaTransformer,
  { file, modelKey, signal }: Nf4Options,
): Promise<SanaTransformer> {
  const tensors = new Map<string, LazyTensor>();
  for (const { name, count } of nf4Kernels(model.config)) {
    const { codes, scales } = nf4Names(name);
    const [half, blocks] = [[count / 2], [count / nf4Block]];
    tensors.set(scales, {
      dtype: 'float32',
      shape: blocks,
      read: async () => tensor('float32', blocks, nf4Scales(await readWeight(model.weights, name))),
    });
    tensors.set(codes, {
      dtype: 'uint8',
      shape: half,
      read: async () => {
        const kernel = await readWeight(model.weights, name);
        return tensor('uint8', half, nf4Codes(kernel, nf4Scales(kernel)));
      },
    });
  }
  const metadata = { format: `sana-train nf4 ${version}`, key: modelKey };
  const stored = await digestedFile({ file, metadata, tensors, ...(signal && { signal }) });
  return { ...model, weights: new Map([...model.weights, ...stored]) };
}

/** The matrices that are stored in 4 bits, with their numbers of elements: those of all linear maps of the blocks. */
export function nf4Kernels(
  config: SanaTransformerConfig,
): readonly { readonly name: string; readonly count: number }[] {
  return [...sanaModules(config)].flatMap(([module, { inFeatures, outFeatures }]) => {
    const count = inFeatures * outFeatures;
    // All of the published models fit blocks; a matrix that does not is small.
    const fits = module.startsWith('transformer_blocks.') && count % nf4Block === 0;
    return fits ? [{ name: `${module}.weight`, count }] : [];
  });
}

/** The largest size of a number in each block. */
function nf4Scales(kernel: Float32Array): Float32Array {
  const scales = new Float32Array(kernel.length / nf4Block);
  const [half, run] = [kernel.length / 2, nf4Block / 2];
  for (let block = 0; block < scales.length; block++) {
    let largest = 0;
    for (let i = block * run; i < (block + 1) * run; i++) {
      largest = Math.max(largest, Math.abs(kernel[i] ?? 0), Math.abs(kernel[half + i] ?? 0));
    }
    scales[block] = largest;
  }
  return scales;
}

function nf4Codes(kernel: Float32Array, scales: Float32Array): Uint8Array {
  const codes = new Uint8Array(kernel.length / 2);
  const factors = scales.map((scale) => (scale === 0 ? 0 : 1 / scale));
  for (let i = 0; i < codes.length; i++) {
    const factor = factors[Math.floor(i / (nf4Block / 2))] ?? 0;
    const [high, low] = [(kernel[i] ?? 0) * factor, (kernel[codes.length + i] ?? 0) * factor];
    codes[i] = (nearestLevel(high) << 4) | nearestLevel(low);
  }
  return codes;
}

/** Halfway from each level to the next; nothing is above the last. */
const boundaries = nf4Levels.map((level, i) => (level + (nf4Levels[i + 1] ?? Number.POSITIVE_INFINITY)) / 2);

// The lowest level that numbers from each 256th between -1 and 1 on can have: seldom more than one step from the right
// one, which is four times as fast as to halve what is left of the levels.
const lowest = Uint8Array.from({ length: 513 }, (_, i) => boundaries.findIndex((boundary) => boundary >= i / 256 - 1));

/** The index of the level that is nearest to a number from -1 to 1. */
function nearestLevel(x: number): number {
  let index = lowest[Math.floor((x + 1) * 256)] ?? 0;
  while (x > (boundaries[index] ?? 1)) index++;
  return index;
}
