import {
  bytesPerElement,
  type DType,
  elementCount,
  type Tensor,
  tensorBytes,
  tensorFromBytes,
} from '../graph/tensor.ts';

/** The names, dtypes and shapes of tensors. */
export interface TensorList {
  readonly names: readonly string[];
  readonly dtypes: readonly DType[];
  readonly shapes: readonly (readonly number[])[];
}

/**
 * Tensors in one piece of memory, as they cross between threads: a training step has hundreds of small ones, and each
 * buffer and each object that is handed over takes its time.
 */
export interface PackedTensors {
  readonly list: TensorList;
  readonly buffer: ArrayBuffer;
}

/** Whether two lists are of tensors with the same names, dtypes and shapes, in the same order. */
export function isSameList(a: TensorList, b: TensorList): boolean {
  return (
    a.names.length === b.names.length &&
    a.names.every((name, i) => name === b.names[i]) &&
    a.dtypes.every((dtype, i) => dtype === b.dtypes[i]) &&
    a.shapes.every((shape, i) => {
      const other = b.shapes[i];
      // A parameter's shape is one object for all of the run.
      return shape === other || (shape.length === other?.length && shape.every((size, axis) => size === other[axis]));
    })
  );
}

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
  return { list, buffer: spare && spare.byteLength >= byteLength ? spare : new ArrayBuffer(byteLength) };
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
export function unpackTensors({ list, buffer }: PackedTensors): (readonly [name: string, Tensor])[] {
  const { names, dtypes, shapes } = list;
  const { offsets } = layOut(list);
  return names.map((name, i) => {
    const [dtype = 'float32', shape = []] = [dtypes[i], shapes[i]];
    const bytes = new Uint8Array(buffer, offsets[i], bytesPerElement(dtype) * elementCount(shape));
    return [name, tensorFromBytes(dtype, shape, bytes)];
  });
}
