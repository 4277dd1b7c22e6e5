import { formatShape } from '../dim.ts';
import { elementCount, float32 } from '../tensor.ts';
import { defineOp, outputOf, type Value } from '../value.ts';
import { onnxType } from './elementwise.ts';

/**
 * The 16 numbers of the 4-bit NormalFloat, NF4: quantiles of the normal distribution, 0 among them, the outermost -1 and 1
 * (QLoRA, arXiv 2305.14314, appendix E).
 */
export const nf4Levels: readonly number[] = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
];

/** Numbers that share a scale, as in QLoRA. */
export const nf4Block = 64;

type Operands = readonly [codes: Value, scales: Value];

const dequantizeNf4Op = defineOp<Operands, { readonly shape: readonly number[] }>({
  name: 'dequantizeNf4',
  infer([codes, scales], { shape }) {
    const count = elementCount(shape);
    const fits = codes.shape.join() === `${count / 2}` && scales.shape.join() === `${count / nf4Block}`;
    if (!fits || codes.dtype !== 'uint8' || scales.dtype !== 'float32') {
      throw new RangeError(
        `dequantizeNf4: ${formatShape(shape)} takes uint8 [${count / 2}] and float32 [${count / nf4Block}], got ${codes.dtype} ${formatShape(codes.shape)} and ${scales.dtype} ${formatShape(scales.shape)}`,
      );
    }
    return [{ dtype: 'float32', shape }];
  },
  onnx({ attributes: { shape }, emit, names: [codes = '', scales = ''], outputNames }) {
    const flat = emit.temporary();
    if (emit.dialect.contribOps) {
      // Of all that onnxruntime has, its product with a matrix in NF4 makes floats of codes fastest. The transpose of a
      // matrix of two columns, which a product with I gives, has them as rows: the halves.
      const attributes = { K: 2, N: elementCount(shape) / 2, block_size: nf4Block, quant_type: 1 };
      const identity = emit.constant(float32([2, 2], [1, 0, 0, 1]));
      emit.node('MatMulBnb4', [identity, codes, scales], [flat], attributes, 'com.microsoft');
    } else {
      const [index, halves, blocks, column] = [emit.temporary(), emit.temporary(), emit.temporary(), emit.temporary()];
      emit.node('Cast', [codes], [index], { to: onnxType('int32') });
      const looked = nibbleTables().map((table) => {
        const half = emit.temporary();
        emit.node('Gather', [emit.constant(float32([256], table)), index], [half], { axis: 0 });
        return half;
      });
      emit.node('Concat', looked, [halves], { axis: 0 });
      emit.node('Reshape', [halves, emit.int64([2, -1, nf4Block / 2])], [blocks]);
      emit.node('Reshape', [scales, emit.int64([-1, 1])], [column]);
      emit.node('Mul', [blocks, column], [flat]);
    }
    emit.node('Reshape', [flat, emit.int64(shape)], outputNames);
  },
  tfjs({ tf, inputs: [codes, scales], attributes: { shape } }) {
    const index = tf.cast(codes, 'int32');
    const looked = nibbleTables().map((table) => tf.gather(tf.tensor1d(table), index));
    const blocks = tf.reshape(tf.concat(looked), [2, -1, nf4Block / 2]);
    return tf.reshape(tf.mul(blocks, tf.reshape(scales, [-1, 1])), [...shape]);
  },
});

/** For each byte what its high and what its low four bits stand for. */
function nibbleTables(): readonly [Float32Array, Float32Array] {
  const table = (bits: (byte: number) => number): Float32Array =>
    Float32Array.from({ length: 256 }, (_, byte) => nf4Levels[bits(byte)] ?? 0);
  return [table((byte) => byte >> 4), table((byte) => byte & 15)];
}

/**
 * A frozen weight that is stored in 4 bits, as float32 of the given shape, n elements. No gradient.
 *
 * Byte j of the codes has element j in its high four bits and element n / 2 + j in its low four, so that a block is 32
 * elements in a row of the first half, and the 32 at the same places in the second.
 *
 * @param codes uint8 [n / 2]
 * @param scales float32 [n / 64]: what an element of a block is multiplied by
 * @throws RangeError when they do not fit the shape, or n is no multiple of 64
 */
export function dequantizeNf4(codes: Value, scales: Value, shape: readonly number[]): Value {
  return outputOf(dequantizeNf4Op([codes, scales], { shape }));
}
