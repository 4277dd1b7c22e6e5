import { mulDims } from '../graph/dim.ts';
import { reshape } from '../graph/ops/broadcast.ts';
import { dropout } from '../graph/ops/activation.ts';
import { add, div, mul, sqrt, sub } from '../graph/ops/elementwise.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { concat, split, transpose } from '../graph/ops/movement.ts';
import { reduceSumSquare } from '../graph/ops/reduce.ts';
import { stopGradient } from '../graph/ops/stop-gradient.ts';
import { input, type Value } from '../graph/value.ts';
import { type Adapt, type Layout, type OutputPart, project, type Projection } from '../models/projection.ts';
import {
  type AdaptedModule,
  type AdaptedModules,
  type AdapterPart,
  parameterName,
  parameterShapes,
} from './adapter-config.ts';
import type { Loha, Lokr, LokrFactor } from './lycoris.ts';

/** An adapter as part of a graph. */
export interface GraphAdapter {
  readonly adapt: Adapt;
  /** The adapter's tensors, which are inputs of the graph, by their names in the file, in the order of the modules. */
  readonly parameters: ReadonlyMap<string, Value>;
}

/** What tells the inputs of several adapters in one graph apart. */
export interface GraphAdapterOptions {
  /** Put before the inputs' names. @default '' */
  readonly prefix?: string;
  /** Whether dropout is on, as in training. @default false */
  readonly training?: boolean;
}

/**
 * LoRA: W x becomes W x + scale B A x (arXiv 2106.09685). DoRA: m / ||W + scale B A|| (W x + scale B A x), with the norm
 * of each row treated as a constant by the gradient (arXiv 2402.09353, section 4.3), as peft computes both. LoKr and
 * LoHa add what LyCORIS' do: scale (w1 x w2) x, and scale (w1 * w2) x.
 */
export function graphAdapter(
  modules: AdaptedModules,
  { prefix = '', training = false }: GraphAdapterOptions = {},
): GraphAdapter {
  const parameters = new Map<string, Value>();
  for (const [name, module] of modules) {
    for (const [parameter, shape] of parameterShapes(name, module))
      parameters.set(parameter, input(prefix + parameter, shape));
  }
  function parameter(module: string, part: AdapterPart, shape: readonly number[]): Value {
    const value = parameters.get(parameterName(module, part));
    if (!value) throw new RangeError(`graphAdapter: ${module} has no ${part}`);
    return once(value, shape.join(), () => reshape(value, shape));
  }

  // Products of one x and each of its modules' A are one product; by x, then by module.
  const lows = new Map<Value, ReadonlyMap<string, Value>>();

  /** A x of each of the modules that are plain LoRA of the same x: [B, r, N] or [B, N, r]. */
  function lowOf({ module, x, from, to, siblings = [module] }: Projection): Value | undefined {
    const known = lows.get(x)?.get(module);
    if (known) return known;
    const plain = siblings.flatMap((name) => {
      const adapted = modules.get(name);
      const isPlain = adapted && !adapted.dora && !adapted.lycoris && (!training || adapted.dropout === 0);
      return isPlain ? [{ name, rank: adapted.rank }] : [];
    });
    if (plain.length < 2 || !plain.some(({ name }) => name === module)) return undefined;
    const a = plain.map(({ name, rank }) => parameter(name, 'lora_A', [rank, -1]));
    const ranks = plain.map(({ rank }) => rank);
    const parts = split(project(x, from, concat(a, 0), to), to === 'rows' ? 2 : 1, ranks);
    const byName = new Map(parts.map((part, i) => [plain[i]?.name ?? '', part]));
    lows.set(x, byName);
    return byName.get(module);
  }

  // What is computed once for all that share it, by what it is made of and a name.
  const shared = new Map<Value, Map<string, Value>>();

  function once(x: Value, name: string, make: () => Value): Value {
    const known = shared.get(x) ?? new Map<string, Value>();
    shared.set(x, known);
    const value = known.get(name) ?? make();
    known.set(name, value);
    return value;
  }

  // A value is cut once for all of its parts: its gradient is then put together in one step.
  const cuts = new Map<Value, readonly Value[]>();

  /** The part of a value of all outputs, which lie along `axis`. */
  function partOf(value: Value, axis: number, part: OutputPart | undefined): Value {
    if (!part || part.count === 1) return value;
    const size = Number(value.shape[axis]) / part.count;
    const all = cuts.get(value) ?? split(value, axis, Array<number>(part.count).fill(size));
    cuts.set(value, all);
    return all[part.index] ?? value;
  }

  const adapt: Adapt = (projection) => {
    const { module, x, from, kernel, bias, y, to, part } = projection;
    const adapted = modules.get(module);
    if (!adapted) return y;
    const { rank, scale, dora, lycoris } = adapted;
    const dropped = training ? once(x, `${module} dropped`, () => dropInputs(module, x, from === 'rows', adapted)) : x;
    const channels = to === 'rows' ? 2 : 1;
    if (lycoris) {
      const change = once(x, module, () =>
        lycoris.kind === 'lokr'
          ? times(kroneckerProduct(module, lycoris, dropped, from, to), scale)
          : hadamardProduct(lycoris, projection, dropped, scale),
      );
      return add(y, partOf(change, channels, part));
    }
    const a = parameter(module, 'lora_A', [rank, -1]); // [r, in]
    const b = parameter(module, 'lora_B', [-1, rank]); // [out, r]
    const low = lowOf(projection) ?? once(x, module, () => project(dropped, from, a, to)); // [B, r, N] or [B, N, r]
    const rows = partOf(b, 0, part);
    if (!dora) {
      // Scaling the low rank is next to nothing beside scaling the result.
      const scaled = once(low, 'scaled', () => times(low, scale));
      return add(y, project(scaled, to, rows, to));
    }

    // In peft's order of operations: where m is small, W x cancels, and a rounding decides on which side of a ReLU's
    // kink a value falls.
    const delta = project(low, to, rows, to);
    const whole = (): Value => once(x, `${module} of dropped`, () => project(dropped, from, kernel, to));
    const base = dropped !== x ? partOf(whole(), channels, part) : bias ? sub(y, partOf(bias, 0, part)) : y;
    const magnitude = parameter(module, 'lora_magnitude_vector', [-1]);
    const factor = once(x, `${module} factor`, () => {
      const norms = stopGradient(rowNorms(kernel, a, b, scale));
      return reshape(div(magnitude, norms), to === 'rows' ? [-1] : [-1, 1]);
    });
    const own = partOf(factor, 0, part);
    return add(y, add(mul(sub(own, 1), base), mul(mul(own, delta), scale)));
  };
  return { adapt, parameters };

  /** (w1 x w2) x without the product itself: w2 acts within each of the groups of channels, w1 on the groups. */
  function kroneckerProduct(module: string, { one, two }: Lokr, x: Value, from: Layout, to: Layout): Value {
    const factor = (w: 'w1' | 'w2', { rows, columns, rank }: LokrFactor): Value =>
      rank === null
        ? parameter(module, `lokr_${w}`, [rows, columns])
        : matMul(parameter(module, `lokr_${w}_a`, [rows, rank]), parameter(module, `lokr_${w}_b`, [rank, columns]));
    const columns = from === 'columns' ? x : transpose(x, [0, 2, 1]); // [B, in, N]
    const [batch = 1, , tokens = 1] = columns.shape;
    const grouped = reshape(columns, [batch, one.columns, two.columns, tokens]);
    const within = matMul(factor('w2', two), grouped); // [B, p, n, N]
    const flat = reshape(within, [batch, one.columns, mulDims(two.rows, tokens)]);
    const across = matMul(factor('w1', one), flat); // [B, m, n N]
    const out = reshape(across, [batch, one.rows * two.rows, tokens]);
    return to === 'columns' ? out : transpose(out, [0, 2, 1]);
  }

  /**
   * ((w1_a w1_b) * (w2_a w2_b)) x: as the LoRA of rank r^2 that it is, where that takes less than the whole matrix, whose
   * parts the backward pass would keep too.
   */
  function hadamardProduct({ rank }: Loha, { module, from, to, kernel }: Projection, x: Value, scale: number): Value {
    const [rows = 1, columns = 1] = kernel.shape.map(Number);
    const left = (w: 'w1' | 'w2', shape: readonly number[]): Value => parameter(module, `hada_${w}_a`, shape);
    const right = (w: 'w1' | 'w2', shape: readonly number[]): Value => parameter(module, `hada_${w}_b`, shape);
    if (rank ** 2 * (rows + columns) >= rows * columns) {
      const whole = (w: 'w1' | 'w2'): Value => matMul(left(w, [rows, rank]), right(w, [rank, columns]));
      return project(x, from, times(mul(whole('w1'), whole('w2')), scale), to);
    }
    const b = reshape(mul(left('w1', [rows, rank, 1]), left('w2', [rows, 1, rank])), [rows, rank ** 2]);
    const a = reshape(mul(right('w1', [rank, 1, columns]), right('w2', [1, rank, columns])), [rank ** 2, columns]);
    return project(times(project(x, from, a, 'columns'), scale), 'columns', b, to);
  }

  function dropInputs(module: string, x: Value, rows: boolean, { dropout: probability }: AdaptedModule): Value {
    if (probability === 0) return x;
    const [batch = 1, first = 1, second = 1] = x.shape;
    const name = `${prefix}dropout.${module}`;
    const [tokens, channels] = rows ? [first, second] : [second, first];
    const along = input(`${name}.tokens`, [batch, tokens]);
    const across = input(`${name}.channels`, [channels]);
    return rows
      ? dropout(x, reshape(along, [batch, tokens, 1]), across, probability)
      : dropout(x, reshape(along, [batch, 1, tokens]), reshape(across, [channels, 1]), probability);
  }
}

function times(x: Value, factor: number): Value {
  return factor === 1 ? x : mul(x, factor);
}

/** ||W + s B A|| of each row. W [out, in], A [r, in], B [out, r] -> [out] */
function rowNorms(kernel: Value, a: Value, b: Value, scale: number): Value {
  const merged = add(kernel, mul(matMul(b, a), scale));
  return sqrt(reshape(reduceSumSquare(merged, [1]), [-1]));
}
