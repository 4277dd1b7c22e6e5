import { float32, type Tensor } from '../graph/tensor.ts';
import type { Gemma2LayerType } from './gemma2-config.ts';

/**
 * Token sequences as one tree, a row a token. A causal model's hidden state of a token depends on the tokens before it
 * and on nothing else, so sequences with the same beginning (all prompts with an instruction) share its rows. Rows of
 * other branches are hidden by the mask, and there is no padding.
 */
export interface TokenTree {
  /** [N] token ids; a token's row comes after its parent's. */
  readonly tokens: readonly number[];
  /** [N] the row of the token before, -1 for a first token. */
  readonly parents: readonly number[];
  /** [N] positions in the sequence, from 0. */
  readonly positions: readonly number[];
  /** The rows of each sequence's tokens, by the sequence's index. */
  readonly rows: ReadonlyMap<number, readonly number[]>;
}

function compareSequences(a: readonly number[], b: readonly number[]): number {
  const differs = a.findIndex((token, i) => token !== b[i]);
  return differs < 0 ? a.length - b.length : (a[differs] ?? 0) - (b[differs] ?? -1);
}

/**
 * Packs sequences into trees of up to `maxRows` rows; a longer sequence has a tree of its own.
 * The rows of a product are what its weights' conversion to float32 is shared by; the logits grow with their square.
 */
export function packTokenTrees(sequences: readonly (readonly number[])[], maxRows: number): readonly TokenTree[] {
  // In order, so that those that share most come to stand in the same tree.
  const order = sequences.map((tokens, index) => ({ tokens, index }));
  order.sort((a, b) => compareSequences(a.tokens, b.tokens));
  const trees: TokenTree[] = [];
  let tree = startTree();
  for (const { tokens, index } of order) {
    if (tree.size > 0 && tree.size + tokens.length - tree.shared(tokens) > maxRows) {
      trees.push(tree.finish());
      tree = startTree();
    }
    tree.add(tokens, index);
  }
  if (tree.size > 0) trees.push(tree.finish());
  return trees;
}

function startTree(): {
  readonly size: number;
  /** How many of the first tokens have rows already. */
  shared(tokens: readonly number[]): number;
  add(tokens: readonly number[], index: number): void;
  finish(): TokenTree;
} {
  const tokenIds: number[] = [];
  const parents: number[] = [];
  const positions: number[] = [];
  const rows = new Map<number, readonly number[]>();
  const children = new Map<string, number>(); // 'parent token' -> row
  return {
    get size() {
      return tokenIds.length;
    },
    shared(tokens) {
      let row: number | undefined = -1;
      let count = 0;
      for (const token of tokens) {
        row = children.get(`${row} ${token}`);
        if (row === undefined) break;
        count++;
      }
      return count;
    },
    add(tokens, index) {
      let parent = -1;
      const path = tokens.map((token, position) => {
        const key = `${parent} ${token}`;
        let row = children.get(key);
        if (row === undefined) {
          row = tokenIds.length;
          tokenIds.push(token);
          parents.push(parent);
          positions.push(position);
          children.set(key, row);
        }
        return (parent = row);
      });
      rows.set(index, path);
    },
    finish: () => ({ tokens: tokenIds, parents, positions, rows }),
  };
}

/** Added to a logit it leaves exp() exactly 0; transformers adds the least float32, which some GPUs make infinite. */
const hidden = -1e9;

/**
 * The mask of a layer's attention [N, N]: 0 where the row's token sees the column's, -1e9 elsewhere. A token sees
 * itself and the tokens before it in its branch, in a sliding layer no further back than `slidingWindow` - 1.
 */
export function treeMask({ parents }: TokenTree, type: Gemma2LayerType, slidingWindow: number | null): Tensor {
  const n = parents.length;
  const window = type === 'sliding_attention' && slidingWindow !== null ? slidingWindow : n;
  const mask = new Float32Array(n * n).fill(hidden);
  for (let row = 0; row < n; row++) {
    for (let seen = row, steps = 0; seen >= 0 && steps < window; seen = parents[seen] ?? -1, steps++) {
      mask[row * n + seen] = 0;
    }
  }
  return float32([n, n], mask);
}

/**
 * Cosines and sines [N, 1, headDim / 2] of the rotary angles position theta^(-2i / headDim), computed in float32 as
 * transformers does.
 */
export function rotaryAngles(
  { positions }: TokenTree,
  headDim: number,
  theta: number,
): { readonly cos: Tensor; readonly sin: Tensor } {
  const n = positions.length;
  const half = headDim / 2;
  const cos = new Float32Array(half * n);
  const sin = new Float32Array(half * n);
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(1 / Math.fround(theta ** Math.fround((2 * i) / headDim)));
    for (let row = 0; row < n; row++) {
      const angle = Math.fround((positions[row] ?? 0) * frequency);
      cos[row * half + i] = Math.cos(angle);
      sin[row * half + i] = Math.sin(angle);
    }
  }
  return { cos: float32([n, 1, half], cos), sin: float32([n, 1, half], sin) };
}
