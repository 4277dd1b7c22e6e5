import type { Engine, Executable } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import { float32, fromFloat32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { assertFinite } from '../io/assert-finite.ts';
import { isTensorLocation, readRows, type TensorLocation, type Weights } from '../io/safetensors.ts';
import { takeTensor } from '../io/take-tensor.ts';
import { gemma2LayerTensors } from './gemma2-config.ts';
import {
  type CutSequence,
  type EncodingPass,
  planPasses,
  rotaryAngles,
  rowOf,
  type Segment,
  segmentMask,
  startOf,
} from './gemma2-segments.ts';
import { gemma2Layer } from './gemma2-layer.ts';
import { type Gemma2, gemma2Attention, gemma2FinalNorm, gemma2Output, gemma2Projections } from './gemma2.ts';
import { weightReader } from './weights.ts';

// Shape letters: N rows of a pass, R rows of a run, D hidden_size, T positions asked for.

/** A sequence, and the positions whose hidden states are wanted. */
export interface Gemma2Request extends CutSequence {
  readonly positions: readonly number[];
}

/** How far a run has come, in rows times layers: proportional to the time. */
export interface Gemma2Progress {
  readonly done: number;
  readonly total: number;
}

/** Settings of a run. */
export interface Gemma2RunOptions {
  /** Ends the run between two layers, by throwing the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Gemma2Progress) => void;
  /** Tokens that are in memory at once, while all layers pass by once. @default 4096: 130 MB for D = 2304 */
  readonly rowsPerPass?: number;
}

/** The hidden states of the request of that number. */
export interface Gemma2Result {
  readonly index: number;
  /** [T, D] float32, after the final norm */
  readonly hiddenStates: Tensor & { readonly data: Float32Array };
}

/**
 * How many rows a run of a pass has; the last one is filled up. A row's sums have to be added up in the same order whatever
 * the other rows are, and are where every product is the same one: of 192 rows, which hold Sana's instruction, a caption
 * and the empty prompt. On the CPU, where every matrix has more outputs than a run has rows, onnxruntime
 * (mlas/lib/sgemm.cpp) has threads share the outputs, and parts the sums by the matrix alone, so that a run may have as
 * many rows as there are: few of a short prompt, and many of many captions, whose weights are converted to float32 in
 * each run. 48 is a multiple of the rows that its kernels have in registers. Sums of whole numbers are the same in any order.
 */
function runHeight({ name }: Engine, { config, weights }: Gemma2, rows: number): number {
  const isQuantized = [...weights.values()].some(({ dtype }) => dtype === 'int8');
  const outputs = [...gemma2LayerTensors(config).values()].flatMap(([out = 0, inner]) =>
    inner === undefined ? [] : out,
  );
  const [most, step] = [480, 48];
  if (!isQuantized && (name !== 'onnxruntime (cpu)' || Math.min(...outputs) <= most)) return 192;
  return Math.ceil(rows / Math.ceil(rows / most) / step) * step;
}

/**
 * Computes last hidden states with one layer's weights in memory at a time. Requests come back as passes over the
 * layers end, in no order; each pass's results can be stored before the next begins. A request's numbers are the same,
 * bit for bit, whichever others are computed with it.
 * @throws UserError for NaN in the weights, naming the tensor, and for a token that the model does not have
 */
export async function* gemma2HiddenStates(
  engine: Engine,
  model: Gemma2,
  requests: readonly Gemma2Request[],
  { signal, onProgress, rowsPerPass = 4096 }: Gemma2RunOptions = {},
): AsyncGenerator<Gemma2Result> {
  checkTokens(model, requests);
  const passes = planPasses(requests, rowsPerPass);
  const layers = model.config.num_hidden_layers;
  const total = layers * passes.reduce((sum, { rows }) => sum + rows, 0);
  let done = 0;
  const advance = (rows: number): void => {
    signal?.throwIfAborted();
    onProgress?.({ done: (done += rows), total });
  };
  if (passes.length === 0) return;
  const attention = await engine.compile(gemma2Attention(model.config), new Map());
  try {
    for (const pass of passes) {
      signal?.throwIfAborted();
      const states = await runLayers(engine, model, attention, pass, advance);
      for (const [index, end] of pass.ends) {
        const wanted = (requests[index]?.positions ?? []).map((position) => rowOf(end, position));
        yield { index, hiddenStates: gatherRows(states, wanted, model.config.hidden_size) };
      }
    }
  } finally {
    await attention.dispose();
  }
}

function checkTokens({ config: { vocab_size: vocabSize } }: Gemma2, requests: readonly Gemma2Request[]): void {
  for (const { inputIds, positions } of requests) {
    if (inputIds.length === 0) throw new RangeError('gemma2HiddenStates: a request has no tokens');
    const position = positions.find((index) => index < 0 || index >= inputIds.length);
    if (position !== undefined) {
      throw new RangeError(`gemma2HiddenStates: position ${position} of ${inputIds.length} tokens`);
    }
    const unknown = inputIds.find((token) => token >= vocabSize);
    if (unknown !== undefined) {
      throw new UserError(
        `The tokenizer gives token ${unknown}, and the text encoder knows ${vocabSize} tokens; use the tokenizer and the text encoder of one model.`,
      );
    }
  }
}

/** All layers, one after the other. @returns [N, D], filled up to whole runs */
async function runLayers(
  engine: Engine,
  model: Gemma2,
  attention: Executable,
  { segments, rows }: EncodingPass,
  advance: (rows: number) => void,
): Promise<Float32Array> {
  const { config, weights, prefix } = model;
  const { hidden_size: d, head_dim: h, num_attention_heads: heads, num_key_value_heads: k } = config;
  const height = runHeight(engine, model, rows);
  const runs = Array.from({ length: Math.ceil(rows / height) }, (_, i) => i * height);
  const runsSeldom = runs.length <= 2;
  const filled = runs.length * height;
  const states = new Float32Array(filled * d);
  states.set(
    await embed(
      model,
      segments.flatMap(({ tokens }) => tokens),
    ),
  );
  const positions = segments.flatMap((segment) => segment.tokens.map((_, i) => startOf(segment) + i));
  const { cos, sin } = rotaryAngles([...positions, ...Array<number>(filled - rows).fill(0)], h, config.rope_theta);
  // Attention writes its context where it read the queries.
  const queries = new Float32Array(filled * heads * h);
  const keys = new Float32Array(filled * k * h);
  const values = new Float32Array(filled * k * h);

  /** Runs a graph on rows of all sequences, so many at a time. */
  async function runRows(
    executable: Executable,
    feeds: Readonly<Record<string, Tensor>>,
    store: (outputs: Readonly<Record<string, Tensor>>, row: number) => void | Promise<void>,
  ): Promise<void> {
    for (const row of runs) {
      const part = Object.entries(feeds).map(([name, feed]) => [name, rowsFrom(feed, row, height)] as const);
      const outputs = await executable.run(Object.fromEntries(part));
      await store(outputs, row);
      executable.recycle?.(outputs);
    }
  }

  for (const [layer, type] of config.layer_types.entries()) {
    const under = `${prefix}layers.${layer}.`;
    const own = weightsUnder(weights, under);
    const hiddenStates = float32([filled, d], states);
    const project = await engine.compile(gemma2Projections(config, gemma2Layer(weights, under)), own, { runsSeldom });
    try {
      await runRows(project, { hiddenStates, cos, sin }, (outputs, row) => {
        queries.set(valuesOf(outputs, 'queries'), row * heads * h);
        keys.set(valuesOf(outputs, 'keys'), row * k * h);
        values.set(valuesOf(outputs, 'values'), row * k * h);
      });
    } finally {
      await project.dispose();
    }

    for (const segment of segments) {
      const outputs = await attention.run({
        queries: float32([segment.tokens.length, heads, h], ownRows(queries, segment, heads * h)),
        keys: pathRows(keys, segment, [k, h]),
        values: pathRows(values, segment, [k, h]),
        mask: segmentMask(segment, type, config.sliding_window),
      });
      queries.set(valuesOf(outputs, 'context'), segment.row * heads * h);
      attention.recycle?.(outputs);
    }

    const finish = await engine.compile(gemma2Output(config, gemma2Layer(weights, under)), own, { runsSeldom });
    try {
      const context = float32([filled, heads * h], queries);
      await runRows(finish, { hiddenStates, context }, async (outputs, row) => {
        states.set(await finiteStates(outputs['output'], model, under), row * d);
        advance(Math.min(rows - row, height));
      });
    } finally {
      await finish.dispose();
    }
  }

  const own = weightsUnder(weights, `${prefix}norm.`, prefix);
  const norm = await engine.compile(gemma2FinalNorm(config, weightReader(weights, prefix)), own);
  try {
    await runRows(norm, { hiddenStates: float32([filled, d], states) }, async (outputs, row) => {
      states.set(await finiteStates(outputs['output'], model, `${prefix}norm.`), row * d);
    });
  } finally {
    await norm.dispose();
  }
  return states;
}

/** The rows of one run. */
function rowsFrom({ shape: [, ...inner], data }: Tensor, row: number, height: number): Tensor {
  const width = inner.reduce((a, b) => a * b, 1);
  if (!(data instanceof Float32Array)) throw new RangeError('gemma2HiddenStates: rows of float32 expected');
  return float32([height, ...inner], data.subarray(row * width, (row + height) * width));
}

function ownRows(data: Float32Array, { row, tokens }: Segment, width: number): Float32Array {
  return data.subarray(row * width, (row + tokens.length) * width);
}

/** The rows of a segment behind those before it, of [N, ...inner]. */
function pathRows(data: Float32Array, segment: Segment, inner: readonly number[]): Tensor {
  const { before, tokens } = segment;
  const width = inner.reduce((a, b) => a * b, 1);
  const own = ownRows(data, segment, width);
  if (!before) return float32([tokens.length, ...inner], own);
  const path = new Float32Array(before.tokens.length * width + own.length);
  path.set(ownRows(data, before, width));
  path.set(own, before.tokens.length * width);
  return float32([before.tokens.length + tokens.length, ...inner], path);
}

function valuesOf(outputs: Readonly<Record<string, Tensor>>, name: string): Float32Array {
  const output = outputs[name];
  if (!output) throw new RangeError(`gemma2HiddenStates: a graph without ${name}`);
  return toFloat32(output);
}

/** Rows of the embedding, and no others, read from its file, times sqrt(D). -> [N, D] */
async function embed(model: Gemma2, tokens: readonly number[]): Promise<Float32Array> {
  const { config, weights, prefix } = model;
  const d = config.hidden_size;
  const table = takeTensor(weights, `${prefix}embed_tokens.weight`, [config.vocab_size, d]);
  // Each token once, in the file's order: rows that follow each other are read together.
  const unique = [...new Set(tokens)].sort((a, b) => a - b);
  const rows = new Map(unique.map((token, row) => [token, row]));
  const embeddings = await rowsOf(table, unique);
  // transformers rounds the factor to the dtype of the weights, as the model was trained (huggingface/transformers#29402).
  const root = Float32Array.of(Math.sqrt(d));
  const [factor = 1] = table.dtype === 'float32' ? root : toFloat32(fromFloat32(stored(table), [1], root));
  const states = gatherRows(
    embeddings,
    tokens.map((token) => rows.get(token) ?? -1),
    d,
  ).data.map((x) => x * factor);
  return finiteStates(float32([tokens.length, d], states), model, `${prefix}embed_tokens.`);
}

function stored({ dtype }: Tensor | TensorLocation): 'float16' | 'bfloat16' | 'float32' {
  return dtype === 'float16' || dtype === 'bfloat16' ? dtype : 'float32';
}

async function rowsOf(table: Tensor | TensorLocation, rows: readonly number[]): Promise<Float32Array> {
  if (isTensorLocation(table)) return toFloat32(await readRows(table, rows));
  return gatherRows(toFloat32(table), rows, table.shape[1] ?? 0).data;
}

/** Rows of [.., D] one after the other. */
function gatherRows(data: Float32Array, rows: readonly number[], d: number): Tensor & { readonly data: Float32Array } {
  const gathered = new Float32Array(rows.length * d);
  for (const [i, row] of rows.entries()) gathered.set(data.subarray(row * d, (row + 1) * d), i * d);
  return float32([rows.length, d], gathered);
}

/** The weights whose names begin with `prefix`, by what follows `cut` in them: as the graph of a layer calls them. */
function weightsUnder(weights: Weights, prefix: string, cut = prefix): Weights {
  const found = [...weights].filter(([name]) => name.startsWith(prefix));
  return new Map(found.map(([name, value]) => [name.slice(cut.length), value]));
}

/**
 * The states that a graph gave. Weights with a NaN make NaN of every state, so that the weights themselves, gigabytes,
 * are read for a NaN only when there is one here.
 */
async function finiteStates(output: Tensor | undefined, { weights }: Gemma2, prefix: string): Promise<Float32Array> {
  if (!output) throw new RangeError('gemma2HiddenStates: a graph without output');
  const states = toFloat32(output);
  // Sums of finite float32 numbers' squares fit a double, and what is not finite stays so: faster than to test each.
  let sum = 0;
  for (let i = 0; i < states.length; i++) sum += (states[i] ?? 0) ** 2;
  if (!Number.isFinite(sum)) {
    await assertFinite(new Map([...weights].filter(([name]) => name.startsWith(prefix))));
    throw new UserError(
      `The text encoder's hidden states overflow at ${prefix.slice(0, -1)}; its weights are damaged; download it again.`,
    );
  }
  return states;
}
