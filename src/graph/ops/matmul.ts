import { broadcastShapes, formatShape } from '../dim.ts';
import { elementCount } from '../tensor.ts';
import { defineOp, outputOf, type Value } from '../value.ts';
import { reshape, sumTo } from './broadcast.ts';
import { unpackAgain } from './elementwise.ts';

/** Which operands are transposed in their last two axes. */
export interface MatMulOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

interface Attributes {
  readonly transA: boolean;
  readonly transB: boolean;
}

const matMulOp = defineOp<readonly [a: Value, b: Value], Attributes>({
  name: 'matMul',
  infer([a, b], { transA, transB }) {
    const fail = (): never => {
      const flags = `${transA ? ', transA' : ''}${transB ? ', transB' : ''}`;
      throw new RangeError(
        `matMul: ${formatShape(a.shape)} times ${formatShape(b.shape)}${flags}: inner sizes or dtypes differ`,
      );
    };
    if (a.shape.length < 2 || b.shape.length < 2 || a.dtype !== b.dtype) fail();
    const [m, k] = lastTwo(a, transA);
    const [k2, n] = lastTwo(b, transB);
    if (k !== k2) fail();
    const batch = broadcastShapes('matMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
    return [{ dtype: a.dtype, shape: [...batch, m, n] }];
  },
  gradient({ inputs: [a, b], attributes: { transA, transB }, dy, wants }) {
    return [
      wants[0] ? gradientOfA(a, b, dy, transA, transB) : undefined,
      wants[1] ? gradientOfB(a, b, dy, transA, transB) : undefined,
    ];
  },
  onnx({
    inputs: [a, b],
    outputs: [y],
    attributes: { transA, transB },
    emit,
    names: [left = '', right = ''],
    outputNames,
  }) {
    if (!transA && !transB) {
      emit.node('MatMul', [left, right], outputNames);
    } else if (emit.dialect.contribOps) {
      const flags = { transA: transA ? 1 : 0, transB: transB ? 1 : 0 };
      emit.node('FusedMatMul', [left, right], outputNames, flags, 'com.microsoft');
    } else if (b.shape.length === 2 && (a.shape.length === 2 || (!transA && typeof a.shape.at(-1) === 'number'))) {
      // Gemm transposes as it reads; the rows of all samples are one matrix.
      const [rows, product] = a.shape.length === 2 ? [left, ...outputNames] : [emit.temporary(), emit.temporary()];
      const flags = { transA: transA ? 1 : 0, transB: transB ? 1 : 0 };
      if (rows !== left) emit.node('Reshape', [left, emit.int64([-1, Number(a.shape.at(-1))])], [rows ?? '']);
      emit.node('Gemm', [rows ?? '', right], [product ?? ''], flags);
      if (rows !== left) emit.node('Reshape', [product ?? '', emit.shape(y?.shape ?? [])], outputNames);
    } else {
      const transposed = (name: string, { shape: { length } }: Value, flag: boolean): string => {
        if (!flag) return name;
        const out = emit.temporary();
        const perm = Array.from({ length }, (_, axis) => (axis < length - 2 ? axis : 2 * length - 3 - axis));
        emit.node('Transpose', [name], [out], { perm });
        return out;
      };
      emit.node('MatMul', [transposed(left, a, transA), transposed(right, b, transB)], outputNames);
    }
  },
  tfjs({ tf, inputs: [a, b], attributes: { transA, transB } }) {
    // tf.matMul wants operands of one rank, and its backends broadcast no batch but one of 1.
    const batch = broadcastShapes('matMul', a.shape.slice(0, -2), b.shape.slice(0, -2)).map(Number);
    const [left, right] = [a, b].map((x) => {
      const alone = elementCount(x.shape.slice(0, -2)) === 1;
      const shape = [...(alone ? batch.map(() => 1) : batch), ...x.shape.slice(-2)];
      return alone ? tf.reshape(x, shape) : tf.broadcastTo(x, shape);
    });
    if (!left || !right) throw new RangeError('matMul: two operands expected');
    return tf.matMul(left, right, transA, transB);
  },
});

function lastTwo({ shape }: Value, transposed: boolean): readonly [rows: string | number, columns: string | number] {
  const [rows = 1, columns = 1] = shape.slice(-2);
  return transposed ? [columns, rows] : [rows, columns];
}

function gradientOfA(a: Value, b: Value, dy: Value, transA: boolean, transB: boolean): Value {
  // y = op(a) op(b): d op(a) = dy op(b)^T.
  const again = unpackAgain(b);
  const da = transA ? matMul(again, dy, { transA: transB, transB: true }) : matMul(dy, again, { transB: !transB });
  return sumTo(da, a.shape);
}

function gradientOfB(a: Value, b: Value, dy: Value, transA: boolean, transB: boolean): Value {
  if (!transA && b.shape.length === 2 && a.shape.length > 2) {
    // One product over all rows of the batch, in place of one a sample and their sum.
    const rows = (x: Value): Value => reshape(x, [-1, x.shape.at(-1) ?? 1]);
    return transB ? matMul(rows(dy), rows(a), { transA: true }) : matMul(rows(a), rows(dy), { transA: true });
  }
  const again = unpackAgain(a);
  const db = transB ? matMul(dy, again, { transA: true, transB: transA }) : matMul(again, dy, { transA: !transA });
  return sumTo(db, b.shape);
}

/**
 * Matrix product over the last two axes; the axes before them broadcast. [.., M, K] x [.., K, N] -> [.., M, N].
 * @throws RangeError when the inner sizes or dtypes differ, or an operand has fewer than two axes.
 */
export function matMul(a: Value, b: Value, { transA = false, transB = false }: MatMulOptions = {}): Value {
  return outputOf(matMulOp([a, b], { transA, transB }));
}
