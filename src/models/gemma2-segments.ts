import { float32, type Tensor } from '../graph/tensor.ts';
import type { Gemma2LayerType } from './gemma2-config.ts';

/**
 * Tokens of a sequence that are encoded together, behind those of another segment. A causal model's hidden state of a
 * token depends on the tokens before it and on nothing else, so sequences with the same instruction share its segment.
 */
export interface Segment {
  readonly tokens: readonly number[];
  /** The segment before it; its tokens are the sequence's first ones. */
  readonly before: Segment | undefined;
  /** The row of its first token among those of its pass. */
  readonly row: number;
}

/** A sequence and where it is cut. */
export interface CutSequence {
  /** Token ids without padding, at least one. */
  readonly inputIds: readonly number[];
  /** How many of the first tokens make a segment of their own, since other sequences begin with them. @default 0 */
  readonly shared?: number;
}

/** Sequences whose rows are in memory at once, while all layers pass by. */
export interface EncodingPass {
  /** A segment comes after the one before it. */
  readonly segments: readonly Segment[];
  /** Rows of all segments. */
  readonly rows: number;
  /** The last segment of each sequence, by the sequence's index. */
  readonly ends: ReadonlyMap<number, Segment>;
}

/**
 * Cuts sequences and puts their segments into passes of up to `maxRows` rows; a longer sequence has a pass of its own.
 * Where a sequence is cut depends on nothing but itself, so that its numbers do not change with those beside it; equal
 * segments are there once a pass.
 */
export function planPasses(sequences: readonly CutSequence[], maxRows: number): readonly EncodingPass[] {
  const cut = sequences.map(({ inputIds, shared = 0 }, index) => {
    const at = Math.min(shared, inputIds.length - 1);
    return { index, head: inputIds.slice(0, at), tail: inputIds.slice(at) };
  });
  // Those with the same beginning follow each other.
  const groups = new Map<string, typeof cut>();
  for (const one of cut) {
    const group = groups.get(one.head.join());
    if (group) group.push(one);
    else groups.set(one.head.join(), [one]);
  }
  const passes: EncodingPass[] = [];
  let pass = startPass();
  for (const { index, head, tail } of [...groups.values()].flat()) {
    if (pass.rows > 0 && pass.rows + pass.missing(head, tail) > maxRows) {
      passes.push(pass.finish());
      pass = startPass();
    }
    pass.add(index, head, tail);
  }
  if (pass.rows > 0) passes.push(pass.finish());
  return passes;
}

function startPass(): {
  readonly rows: number;
  /** How many rows a sequence would add. */
  missing(head: readonly number[], tail: readonly number[]): number;
  add(index: number, head: readonly number[], tail: readonly number[]): void;
  finish(): EncodingPass;
} {
  const segments = new Map<string, Segment>();
  const ends = new Map<number, Segment>();
  const keyOf = (head: readonly number[], tail: readonly number[]): string => `${head.join()} ${tail.join()}`;
  let rows = 0;
  const segment = (key: string, tokens: readonly number[], before?: Segment): Segment => {
    let found = segments.get(key);
    if (!found) {
      found = { tokens, before, row: rows };
      segments.set(key, found);
      rows += tokens.length;
    }
    return found;
  };
  return {
    get rows() {
      return rows;
    },
    missing(head, tail) {
      if (segments.has(keyOf(head, tail))) return 0;
      return tail.length + (segments.has(keyOf([], head)) ? 0 : head.length);
    },
    add(index, head, tail) {
      const before = head.length > 0 ? segment(keyOf([], head), head) : undefined;
      ends.set(index, segment(keyOf(head, tail), tail, before));
    },
    finish: () => ({ segments: [...segments.values()], rows, ends }),
  };
}

/** The position of a segment's first token in its sequence. */
export function startOf({ before }: Segment): number {
  return before?.tokens.length ?? 0;
}

/** The row of a token, by its position in the sequence that ends with a segment. */
export function rowOf(end: Segment, position: number): number {
  const { before, row } = end;
  return before && position < before.tokens.length ? before.row + position : row + position - startOf(end);
}

/** Added to a logit it leaves exp() exactly 0; transformers adds the least float32, which some GPUs make infinite. */
const hidden = -1e9;

/**
 * The mask of a segment's attention [N, L] for its N tokens and the L of its sequence up to its end: 0 where the row's
 * token sees the column's, -1e9 elsewhere. A token sees itself and those before it, in a sliding layer no further back
 * than `slidingWindow` - 1.
 */
export function segmentMask(segment: Segment, type: Gemma2LayerType, slidingWindow: number | null): Tensor {
  const start = startOf(segment);
  const n = segment.tokens.length;
  const length = start + n;
  const window = type === 'sliding_attention' && slidingWindow !== null ? slidingWindow : length;
  const mask = new Float32Array(n * length).fill(hidden);
  for (let row = 0; row < n; row++) {
    const position = start + row;
    mask.fill(0, row * length + Math.max(0, position - window + 1), row * length + position + 1);
  }
  return float32([n, length], mask);
}

/**
 * Cosines and sines [N, 1, headDim / 2] of the rotary angles position theta^(-2i / headDim), computed in float32 as
 * transformers does.
 */
export function rotaryAngles(
  positions: readonly number[],
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
