import { UserError } from '../errors.ts';
import { bytesPerElement, tensorBytes, tensorFromBytes, toFloat32 } from '../graph/tensor.ts';
import type { DType, Tensor } from '../graph/tensor.ts';
import { quoted } from './json.ts';
import { fileOf, isTensorLocation, readPieces } from './safetensors.ts';
import type { TensorLocation, Weights } from './safetensors.ts';

/** Bytes looked at in one go: a few milliseconds in which the event loop waits. */
const pieceBytes = 2 ** 22;

/** For a floating dtype, what exponent bits of all ones give when `one` is added to `exponent` bits: a carry into `top`. */
interface ExponentTest {
  readonly exponent: number;
  readonly one: number;
  readonly top: number;
}

// Words of 32 bits, of which 16-bit dtypes have two elements: the carry of one stays below the other.
const tests: Partial<Record<DType, ExponentTest>> = {
  float32: { exponent: 0x7f800000, one: 0x00800000, top: 0x80000000 | 0 },
  float16: { exponent: 0x7c007c00, one: 0x04000400, top: 0x80008000 | 0 },
  bfloat16: { exponent: 0x7f807f80, one: 0x00800080, top: 0x80008000 | 0 },
};

/** The index of the first word with an element whose exponent bits are all ones, or the number of words. */
function firstWord(words: Int32Array, { exponent, one, top }: ExponentTest): number {
  for (let i = 0; i < words.length; i++) if (((((words[i] ?? 0) & exponent) + one) & top) !== 0) return i;
  return words.length;
}

/** The index of the first element that is an infinity or not a number; -1 where all are finite. */
function firstNotFinite(dtype: DType, bytes: Uint8Array): number {
  const size = bytesPerElement(dtype);
  const test = tests[dtype];
  const words = Math.floor(bytes.byteLength / 4);
  // One loop over words for every dtype: an element at a time takes several times as long.
  const start = test
    ? (4 / size) * firstWord(toInt32(bytes.subarray(0, 4 * words)), test)
    : dtype === 'float64'
      ? 0
      : bytes.byteLength / size;
  const rest = bytes.subarray(start * size);
  if (rest.byteLength === 0) return -1;
  const { data } = tensorFromBytes(dtype, [rest.byteLength / size], rest);
  const values = data instanceof Float64Array ? data : toFloat32({ dtype, shape: [data.length], data });
  const found = values.findIndex((value) => !Number.isFinite(value));
  return found < 0 ? -1 : start + found;
}

function toInt32(bytes: Uint8Array): Int32Array {
  const { data } = tensorFromBytes('int32', [bytes.byteLength / 4], bytes);
  return data instanceof Int32Array ? data : new Int32Array();
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
