import { UserError } from '../errors.ts';
import { kernelsWasm } from './kernels-wasm.ts';

/** What kernels.wat exports; its comments are their formulas. */
interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  adamw(
    bytes: number,
    scale: number,
    rest1: number,
    rest2: number,
    decay: number,
    step: number,
    root: number,
    eps: number,
  ): void;
  lion(bytes: number, scale: number, rest1: number, rest2: number, decay: number, rate: number): void;
  sumOfSquares(bytes: number): number;
}

// Node's types have no WebAssembly, and the browsers' would bring all the rest of a browser.
declare const WebAssembly:
  | {
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: KernelExports };
    }
  | undefined;

/** Elements of each array in the kernels' memory: few enough to stay in the cache between copy and computation. */
const BLOCK = 4096;

// Where a block of each array lies: the order of kernels.wat.
const [PARAMETERS, GRADIENTS, MEANS, SQUARES] = [0, 1, 2, 3];

interface Kernels {
  readonly exports: KernelExports;
  /** Views of the memory's four blocks. It never grows, which would detach them. */
  readonly blocks: readonly Float32Array[];
}

let opened: Kernels | undefined;

function kernels(): Kernels {
  return (opened ??= openKernels());
}

function openKernels(): Kernels {
  if (typeof WebAssembly === 'undefined') {
    throw new UserError(
      'Optimizers compute in WebAssembly, which is switched off in this Node; start it without --jitless.',
    );
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(kernelsWasm, 'base64')));
  const { buffer } = exports.memory;
  const blocks = [PARAMETERS, GRADIENTS, MEANS, SQUARES].map(
    (slot) => new Float32Array(buffer, 4 * BLOCK * slot, BLOCK),
  );
  return { exports, blocks };
}

/** An array and where its blocks go. */
type Placed = readonly [slot: number, data: Float32Array];

/**
 * Runs a kernel over arrays of one length, block by block. That they are copied takes a quarter of the time, and lets
 * them be as many and as large as they like, made by anyone, and handed to other threads.
 *
 * @param run calls the kernel for so many bytes of each array
 */
function inBlocks(read: readonly Placed[], changed: readonly Placed[], run: (bytes: number) => void): void {
  const { blocks } = kernels();
  const placed = (list: readonly Placed[]): { readonly data: Float32Array; readonly block: Float32Array }[] =>
    list.flatMap(([slot, data]) => {
      const block = blocks[slot];
      return block ? [{ data, block }] : [];
    });
  const back = placed(changed);
  const all = [...placed(read), ...back];
  const length = all[0]?.data.length ?? 0;
  for (let start = 0; start < length; start += BLOCK) {
    const count = Math.min(BLOCK, length - start);
    const whole = 4 * Math.ceil(count / 4);
    for (const { data, block } of all) {
      block.set(data.subarray(start, start + count));
      block.fill(0, count, whole);
    }
    run(4 * whole);
    for (const { data, block } of back) data.set(block.subarray(0, count), start);
  }
}

/** What AdamW's kernel multiplies by; each is rounded to float32. */
export interface AdamWFactors {
  /** Of the gradients, before all else. */
  readonly scale: number;
  /** 1 - beta1 */
  readonly rest1: number;
  /** 1 - beta2 */
  readonly rest2: number;
  /** The share of a parameter that is taken away. */
  readonly decay: number;
  readonly step: number;
  /** What the square's root is multiplied by. */
  readonly root: number;
  readonly eps: number;
}

/** One step of AdamW: changes parameters `p`, means `m` and squares `v` by gradients `g`, all of one length. */
export function adamwKernel(
  p: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  { scale, rest1, rest2, decay, step, root, eps }: AdamWFactors,
): void {
  const { exports } = kernels();
  const changed = [[PARAMETERS, p] as const, [MEANS, m] as const, [SQUARES, v] as const];
  inBlocks([[GRADIENTS, g]], changed, (bytes) => exports.adamw(bytes, scale, rest1, rest2, decay, step, root, eps));
}

/** What Lion's kernel multiplies by; each is rounded to float32. */
export interface LionFactors extends Pick<AdamWFactors, 'scale' | 'rest1' | 'rest2' | 'decay'> {
  /** How far every parameter moves. */
  readonly rate: number;
}

/** One step of Lion: changes parameters `p` and means `m` by gradients `g`, all of one length. */
export function lionKernel(
  p: Float32Array,
  g: Float32Array,
  m: Float32Array,
  { scale, rest1, rest2, decay, rate }: LionFactors,
): void {
  const { exports } = kernels();
  const changed = [[PARAMETERS, p] as const, [MEANS, m] as const];
  inBlocks([[GRADIENTS, g]], changed, (bytes) => exports.lion(bytes, scale, rest1, rest2, decay, rate));
}

/** The sum of all elements' squares, in float64. */
export function sumOfSquares(values: Float32Array): number {
  const { exports } = kernels();
  let sum = 0;
  inBlocks([[GRADIENTS, values]], [], (bytes) => {
    sum += exports.sumOfSquares(bytes);
  });
  return sum;
}
