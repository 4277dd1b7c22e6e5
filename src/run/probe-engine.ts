import { arch, platform } from 'node:os';

import type { ModelConfig } from '../config/schema.ts';
import type { Engine } from '../engine/engine.ts';
import { whyNotHere } from '../engine/onnxruntime-trouble.ts';
import { createEngine } from './create-engine.ts';
import { measureSpeed } from './measure-speed.ts';

/** An engine that a config can name. */
export type EngineName = Exclude<ModelConfig['engine'], 'auto'>;

/** Every engine, the CPU first: what the others are compared with. */
export const engineNames: readonly EngineName[] = ['cpu', 'cuda', 'dml', 'coreml', 'webgpu', 'tfjs'];

/** What came of trying an engine. */
export type Probe =
  | { readonly kind: 'works'; readonly gigaflops: number; readonly seconds: number }
  | { readonly kind: 'wrong'; readonly error: number | null }
  /** `reason` is a sentence with the remedy, where the trouble is known. */
  | { readonly kind: 'fails'; readonly reason: string };

/** Why an engine cannot be on this platform, whatever is installed; undefined where it can. */
export function excluded(name: EngineName, here = `${platform()} ${arch()}`): string | undefined {
  return name === 'tfjs' ? undefined : whyNotHere(name, here);
}

/** Multiplies matrices on an engine. A library may end the whole process: run it in one of its own. */
export async function probeEngine(name: EngineName, open: (name: EngineName) => Engine = openNamed): Promise<Probe> {
  const start = performance.now();
  let opened: Engine | undefined;
  try {
    opened = open(name);
    let speed = await measureSpeed(opened);
    // Where one product takes less than the way to the device and back, more of them tell the device's own speed.
    if (speed.error < LARGEST_ERROR && speed.gigaflops > FAST) speed = await measureSpeed(opened, 5, MANY);
    const { gigaflops, error } = speed;
    if (!(error < LARGEST_ERROR)) return { kind: 'wrong', error: Number.isFinite(error) ? error : null };
    return { kind: 'works', gigaflops, seconds: (performance.now() - start) / 1000 };
  } catch (error) {
    return { kind: 'fails', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await opened?.close();
  }
}

/** float32 sums of 1024 products are good to 1e-5; TensorFloat-32 units would give 1e-3 and are named as what they are. */
const LARGEST_ERROR = 1e-3;
/** Gigaflops at which a product of measureSpeed takes a fiftieth of a second. */
const FAST = 100;
const MANY = 8;

function openNamed(engine: EngineName): Engine {
  return createEngine({ engine, threads: 'auto' });
}
