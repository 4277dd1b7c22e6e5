import { UserError } from '../errors.ts';
import { bytesPerElement, tensorBytes, tensorFromBytes } from '../graph/tensor.ts';
import type { DType, Tensor } from '../graph/tensor.ts';
import { quoted } from './json.ts';
import { fileOf, isTensorLocation, readPieces } from './safetensors.ts';
import type { TensorLocation, Weights } from './safetensors.ts';

/** Bytes looked at in one go: a few milliseconds in which the event loop waits. */
const pieceBytes = 2 ** 22;

/** The index of the first element whose exponent bits are all ones: an infinity or not a number. */
function firstNotFinite(dtype: DType, bytes: Uint8Array): number {
  const { data } = tensorFromBytes(dtype, [bytes.byteLength / bytesPerElement(dtype)], bytes);
  if (data instanceof Uint16Array) {
    const exponent = dtype === 'bfloat16' ? 0x7f80 : 0x7c00;
    for (let i = 0; i < data.length; i++) if (((data[i] ?? 0) & exponent) === exponent) return i;
    return -1;
  }
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  }
  return -1;
}

/** An element's position for a message, such as [3, 17]. */
function positionOf(index: number, shape: readonly number[]): string {
  const position: number[] = [];
  let rest = index;
  for (const size of shape.toReversed()) {
    position.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `[${position.join(', ')}]`;
}

async function findNotFinite(value: TensorLocation | Tensor): Promise<number> {
  if (!isTensorLocation(value)) return firstNotFinite(value.dtype, tensorBytes(value));
  let found = -1;
  await readPieces(value, pieceBytes, (piece, start) => {
    if (found >= 0) return;
    const index = firstNotFinite(value.dtype, piece);
    if (index >= 0) found = start / bytesPerElement(value.dtype) + index;
  });
  return found;
}

/**
 * Reads all weights once, a few megabytes at a time, and checks that none is NaN or infinite.
 * @throws UserError that names the file, the tensor and the element
 */
export async function assertFinite(weights: Weights): Promise<void> {
  for (const [name, value] of weights) {
    const index = await findNotFinite(value);
    if (index < 0) continue;
    const source = isTensorLocation(value) ? fileOf(value) : 'The model in memory';
    throw new UserError(
      `${source} has a value that is NaN or infinite in tensor ${quoted(name)} at ${positionOf(index, value.shape)}; download it again, or use weights saved in a wider dtype.`,
    );
  }
}
