import {
  bytesPerElement,
  type DType,
  elementCount,
  type Tensor,
  tensorBytes,
  tensorFromBytes,
} from '../graph/tensor.ts';

/**
 * Tensors in one piece of memory, as they cross between threads: a buffer takes as long to hand over as a message, and
 * a training step has hundreds of small tensors.
 */
export interface PackedTensors {
  readonly names: readonly string[];
  readonly dtypes: readonly DType[];
  readonly shapes: readonly (readonly number[])[];
  readonly buffer: ArrayBuffer;
}

/** The names, dtypes and shapes of tensors. */
export type TensorList = Omit<PackedTensors, 'buffer'>;

// Tensors begin where lines of the cache do. Those of whole lines follow each other without a gap.
const ALIGNMENT = 64;

/** Where each tensor begins, in bytes, and where the last one ends. */
function layOut({ dtypes, shapes }: TensorList): { readonly offsets: readonly number[]; readonly byteLength: number } {
  let byteLength = 0;
  const offsets = dtypes.map((dtype, i) => {
    const offset = ALIGNMENT * Math.ceil(byteLength / ALIGNMENT);
    byteLength = offset + bytesPerElement(dtype) * elementCount(shapes[i] ?? []);
    return offset;
  });
  return { offsets, byteLength };
}

/**
 * Room for tensors, with what was there before: nobody shall read it.
 * @param spare memory to use again, where it is large enough: fresh memory costs more than what is copied into it
 */
export function packedRoom(list: TensorList, spare?: ArrayBuffer): PackedTensors {
  const { byteLength } = layOut(list);
  const buffer = spare && spare.byteLength >= byteLength ? spare : new ArrayBuffer(byteLength);
  return { ...list, buffer };
}

/** Copies tensors into one piece of memory: the caller keeps them. @param spare as in packedRoom */
export function packTensors(tensors: readonly (readonly [name: string, Tensor])[], spare?: ArrayBuffer): PackedTensors {
  const list = {
    names: tensors.map(([name]) => name),
    dtypes: tensors.map(([, { dtype }]) => dtype),
    shapes: tensors.map(([, { shape }]) => shape),
  };
  const packed = packedRoom(list, spare);
  const { offsets } = layOut(list);
  const bytes = new Uint8Array(packed.buffer);
  for (const [i, [, one]] of tensors.entries()) bytes.set(tensorBytes(one), offsets[i]);
  return packed;
}

/** The tensors, sharing the one buffer. */
export function unpackTensors(packed: PackedTensors): (readonly [name: string, Tensor])[] {
  const { names, dtypes, shapes, buffer } = packed;
  const { offsets } = layOut(packed);
  return names.map((name, i) => {
    const [dtype = 'float32', shape = []] = [dtypes[i], shapes[i]];
    const bytes = new Uint8Array(buffer, offsets[i], bytesPerElement(dtype) * elementCount(shape));
    return [name, tensorFromBytes(dtype, shape, bytes)];
  });
}
