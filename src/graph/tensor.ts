/** Element types of tensors; names as numpy and safetensors users know them. */
export type DType = 'float64' | 'float32' | 'float16' | 'bfloat16' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool';

/** What holds a tensor's elements; float16 and bfloat16 are their bit patterns. */
export type TensorData =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int8Array
  | Uint8Array;

/** Elements in row-major order with their dtype and shape. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

const arrays = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/** Bytes of one element. */
export function bytesPerElement(dtype: DType): number {
  return arrays[dtype].BYTES_PER_ELEMENT;
}

/** The number of elements of a shape; 1 for a scalar's []. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * A tensor of `dtype` over `data`, which is not copied.
 * @throws RangeError when the element count is not the shape's, or the array is not the dtype's.
 */
export function tensor(dtype: DType, shape: readonly number[], data: TensorData): Tensor {
  if (!(data instanceof arrays[dtype])) {
    throw new RangeError(`tensor: ${dtype} needs a ${arrays[dtype].name}, got a ${data.constructor.name}`);
  }
  if (data.length !== elementCount(shape)) {
    throw new RangeError(
      `tensor: shape [${shape.join(', ')}] has ${elementCount(shape)} elements, the data has ${data.length}`,
    );
  }
  return { dtype, shape, data };
}

/** A float32 tensor over `data` (a copy if it is a plain array). */
export function float32(
  shape: readonly number[],
  data: Float32Array | readonly number[],
): Tensor & { data: Float32Array } {
  const array = data instanceof Float32Array ? data : Float32Array.from(data);
  return { ...tensor('float32', shape, array), data: array };
}

/** A tensor of zeros. */
export function zeros(dtype: DType, shape: readonly number[]): Tensor {
  return { dtype, shape, data: new arrays[dtype](elementCount(shape)) };
}

/**
 * The tensor whose elements are `bytes`, without a copy where the address is aligned and the memory is not shared.
 * @throws RangeError when the byte count is not the shape's.
 */
export function tensorFromBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): Tensor {
  const array = arrays[dtype];
  const count = elementCount(shape);
  if (bytes.byteLength !== count * array.BYTES_PER_ELEMENT) {
    throw new RangeError(
      `tensorFromBytes: ${dtype} [${shape.join(', ')}] takes ${count * array.BYTES_PER_ELEMENT} bytes, got ${bytes.byteLength}`,
    );
  }
  // Shared memory is copied too: onnxruntime takes none.
  const { buffer, byteOffset } = bytes;
  return buffer instanceof ArrayBuffer && byteOffset % array.BYTES_PER_ELEMENT === 0
    ? { dtype, shape, data: new array(buffer, byteOffset, count) }
    : { dtype, shape, data: new array(bytes.slice().buffer, 0, count) };
}

/** The bytes of a tensor's elements, little-endian, sharing its memory. */
export function tensorBytes({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

const scratch = new DataView(new ArrayBuffer(4));

/** The bfloat16 bit pattern nearest to `value`, ties to even (IEEE 754 rounding, as PyTorch does). */
export function numberToBfloat16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0; // every NaN is the quiet one
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The value of an IEEE 754 binary16 bit pattern. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The IEEE 754 binary16 bit pattern nearest to `value`, ties to even; beyond 65504 it is infinity. */
export function numberToFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // The unit in the last place: 2^-24 below the smallest normal 2^-14, else 2^(exponent - 10).
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  const unit = 2 ** (exponent - 10);
  const steps = size / unit;
  const floor = Math.floor(steps);
  const rest = steps - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  // A normal number has 1024 <= rounded <= 2048; the carry into the exponent works out by addition.
  return sign | (exponent === -14 ? rounded : ((exponent + 14) << 10) + rounded);
}

/** The elements of any floating or integer tensor as float32; shares memory when it is float32 already. */
export function toFloat32({ dtype, data }: Tensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof BigInt64Array) return Float32Array.from(data, Number);
  if (dtype === 'bfloat16') {
    const out = new Float32Array(data.length);
    const bits = new Uint32Array(out.buffer);
    for (let i = 0; i < data.length; i++) bits[i] = (data[i] ?? 0) << 16;
    return out;
  }
  if (dtype === 'float16') {
    const out = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) out[i] = float16ToNumber(data[i] ?? 0);
    return out;
  }
  return Float32Array.from(data);
}

/** `values` rounded to a floating dtype. */
export function fromFloat32(
  dtype: 'float32' | 'float16' | 'bfloat16',
  shape: readonly number[],
  values: Float32Array,
): Tensor {
  switch (dtype) {
    case 'float32':
      return tensor(dtype, shape, values);
    case 'float16':
      return tensor(dtype, shape, Uint16Array.from(values, numberToFloat16));
    case 'bfloat16':
      return tensor(dtype, shape, Uint16Array.from(values, numberToBfloat16));
  }
}
