import { reshape } from '../graph/ops/broadcast.ts';
import { dropout } from '../graph/ops/activation.ts';
import { add, div, mul, sqrt, sub } from '../graph/ops/elementwise.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { reduceSumSquare } from '../graph/ops/reduce.ts';
import { stopGradient } from '../graph/ops/stop-gradient.ts';
import { input, type Value } from '../graph/value.ts';
import { type Adapt, project } from '../models/projection.ts';
import { type AdaptedModule, type AdaptedModules, parameterName, parameterShapes } from './adapter-config.ts';

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
 * of each row treated as a constant by the gradient (arXiv 2402.09353, section 4.3), as peft computes both.
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
  function parameter(module: string, part: Parameters<typeof parameterName>[1], shape: readonly number[]): Value {
    const value = parameters.get(parameterName(module, part));
    if (!value) throw new RangeError(`graphAdapter: ${module} has no ${part}`);
    return reshape(value, shape);
  }

  const adapt: Adapt = (projection) => {
    const { module, x, from, kernel, bias, y, to } = projection;
    const adapted = modules.get(module);
    if (!adapted) return y;
    const { rank, scale, dora } = adapted;
    const a = parameter(module, 'lora_A', [rank, -1]); // [r, in]
    const b = parameter(module, 'lora_B', [-1, rank]); // [out, r]
    const dropped = training ? dropInputs(module, x, from === 'rows', adapted) : x;
    const low = project(dropped, from, a, 'columns'); // [B, r, N]
    // Scaling the low rank is next to nothing beside scaling the result.
    if (!dora) return add(y, project(scale === 1 ? low : mul(low, scale), 'columns', b, to));

    // In peft's order of operations: where m is small, W x cancels, and a rounding decides on which side of a ReLU's
    // kink a value falls.
    const delta = project(low, 'columns', b, to);
    const base = dropped !== x ? project(dropped, from, kernel, to) : bias ? sub(y, bias) : y;
    const magnitude = parameter(module, 'lora_magnitude_vector', [-1]);
    const norms = stopGradient(rowNorms(kernel, a, b, scale));
    const factor = reshape(div(magnitude, norms), to === 'rows' ? [-1] : [-1, 1]);
    return add(y, add(mul(sub(factor, 1), base), mul(mul(factor, delta), scale)));
  };
  return { adapt, parameters };

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

/** ||W + s B A|| of each row. W [out, in], A [r, in], B [out, r] -> [out] */
function rowNorms(kernel: Value, a: Value, b: Value, scale: number): Value {
  const merged = add(kernel, mul(matMul(b, a), scale));
  return sqrt(reshape(reduceSumSquare(merged, [1]), [-1]));
}
