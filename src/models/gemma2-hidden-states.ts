import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import { float32, fromFloat32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { assertFinite } from '../io/assert-finite.ts';
import { isTensorLocation, readRows, type TensorLocation, type Weights } from '../io/safetensors.ts';
import { takeTensor } from '../io/take-tensor.ts';
import { gemma2LayerTensors } from './gemma2-config.ts';
import { packTokenTrees, rotaryAngles, type TokenTree, treeMask } from './gemma2-token-tree.ts';
import { type Gemma2, gemma2FinalNorm, gemma2Layer } from './gemma2.ts';
import { weightReader } from './weights.ts';

// Shape letters: N rows of a token tree, D hidden_size, T positions asked for.

/** A sequence, and the positions whose hidden states are wanted. */
export interface Gemma2Request {
  /** Token ids without padding, at least one. */
  readonly inputIds: readonly number[];
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
  /** Tokens of one run of a layer. @default 1024 */
  readonly rowsPerRun?: number;
  /** Tokens whose hidden states are in memory at once, while all layers pass by once. @default 16384: 150 MB for D = 2304 */
  readonly rowsPerPass?: number;
}

/** The hidden states of the request of that number. */
export interface Gemma2Result {
  readonly index: number;
  /** [T, D] float32, after the final norm */
  readonly hiddenStates: Tensor & { readonly data: Float32Array };
}

/**
 * Computes last hidden states with one layer's weights in memory at a time. Requests come back as passes over the
 * layers end, in no order; each pass's results can be stored before the next begins.
 * @throws UserError for NaN in the weights, naming the tensor, and for a token that the model does not have
 */
export async function* gemma2HiddenStates(
  engine: Engine,
  model: Gemma2,
  requests: readonly Gemma2Request[],
  { signal, onProgress, rowsPerRun = 1024, rowsPerPass = 16_384 }: Gemma2RunOptions = {},
): AsyncGenerator<Gemma2Result> {
  checkTokens(model, requests);
  const trees = packTokenTrees(
    requests.map(({ inputIds }) => inputIds),
    rowsPerRun,
  );
  const layers = model.config.num_hidden_layers;
  const total = layers * trees.reduce((sum, { tokens }) => sum + tokens.length, 0);
  let done = 0;
  const advance = (rows: number): void => {
    signal?.throwIfAborted();
    onProgress?.({ done: (done += rows), total });
  };
  for (const pass of groupBySize(trees, rowsPerPass)) {
    signal?.throwIfAborted();
    const states = await runLayers(engine, model, pass, advance);
    for (const [i, tree] of pass.entries()) {
      const state = states[i] ?? new Float32Array();
      for (const [index, rows] of tree.rows) {
        const wanted = (requests[index]?.positions ?? []).map((position) => rows[position] ?? -1);
        yield { index, hiddenStates: gatherRows(state, wanted, model.config.hidden_size) };
      }
    }
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

function groupBySize(trees: readonly TokenTree[], maxRows: number): readonly (readonly TokenTree[])[] {
  const groups: TokenTree[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const tree of trees) {
    if (rows + tree.tokens.length > maxRows) {
      groups.push([]);
      rows = 0;
    }
    rows += tree.tokens.length;
    groups.at(-1)?.push(tree);
  }
  return groups;
}

/** All layers, one after the other, each over all trees. @returns [N, D] of each tree */
async function runLayers(
  engine: Engine,
  model: Gemma2,
  trees: readonly TokenTree[],
  advance: (rows: number) => void,
): Promise<readonly Float32Array[]> {
  const { config, weights, prefix } = model;
  const { hidden_size: d, head_dim: headDim, rope_theta: theta, sliding_window: slidingWindow } = config;
  const states: Float32Array[] = [];
  for (const { tokens } of trees) states.push(await embed(model, tokens));
  const angles = trees.map((tree) => rotaryAngles(tree, headDim, theta));

  for (const [layer, type] of config.layer_types.entries()) {
    const under = `${prefix}layers.${layer}.`;
    const own = weightsUnder(weights, under, gemma2LayerTensors(config).keys());
    const executable = await engine.compile(gemma2Layer(config, weightReader(weights, under)), own);
    try {
      for (const [i, tree] of trees.entries()) {
        const hiddenStates = float32([tree.tokens.length, d], states[i] ?? []);
        const mask = treeMask(tree, type, slidingWindow);
        const outputs = await executable.run({ hiddenStates, ...angles[i], mask });
        states[i] = await finiteStates(outputs['output'], model, under);
        advance(tree.tokens.length);
      }
    } finally {
      await executable.dispose();
    }
  }

  const own = weightsUnder(weights, prefix, ['norm.weight']);
  const executable = await engine.compile(gemma2FinalNorm(config, weightReader(weights, prefix)), own);
  try {
    for (const [i, { tokens }] of trees.entries()) {
      const outputs = await executable.run({ hiddenStates: float32([tokens.length, d], states[i] ?? []) });
      states[i] = await finiteStates(outputs['output'], model, `${prefix}norm.`);
    }
  } finally {
    await executable.dispose();
  }
  return states;
}

/** Rows of the embedding, and no others, read from its file, times sqrt(D). -> [N, D] */
async function embed(model: Gemma2, tokens: readonly number[]): Promise<Float32Array> {
  const { config, weights, prefix } = model;
  const d = config.hidden_size;
  const table = takeTensor(weights, `${prefix}embed_tokens.weight`, [config.vocab_size, d]);
  // Each token once, in the file's order: rows that follow each other are read together.
  const unique = [...new Set(tokens)].sort((a, b) => a - b);
  const rowOf = new Map(unique.map((token, row) => [token, row]));
  const embeddings = await rowsOf(table, unique);
  // transformers rounds the factor to the dtype of the weights, as the model was trained (huggingface/transformers#29402).
  const root = Float32Array.of(Math.sqrt(d));
  const [factor = 1] = table.dtype === 'float32' ? root : toFloat32(fromFloat32(stored(table), [1], root));
  const states = gatherRows(
    embeddings,
    tokens.map((token) => rowOf.get(token) ?? -1),
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

/** The weights of some names below a prefix, by their names below it, as the graph of a layer calls them. */
function weightsUnder(weights: Weights, prefix: string, names: Iterable<string>): Weights {
  const found = new Map<string, Tensor | TensorLocation>();
  for (const name of names) {
    const value = weights.get(prefix + name);
    if (value) found.set(name, value);
  }
  return found;
}

/**
 * The states that a graph gave. Weights with a NaN make NaN of every state, so that the weights themselves, gigabytes,
 * are read for a NaN only when there is one here.
 */
async function finiteStates(output: Tensor | undefined, { weights }: Gemma2, prefix: string): Promise<Float32Array> {
  if (!output) throw new RangeError('gemma2HiddenStates: a graph without output');
  const states = toFloat32(output);
  if (!states.every(Number.isFinite)) {
    await assertFinite(new Map([...weights].filter(([name]) => name.startsWith(prefix))));
    throw new UserError(
      `The text encoder's hidden states overflow at ${prefix.slice(0, -1)}; its weights are damaged; download it again.`,
    );
  }
  return states;
}
