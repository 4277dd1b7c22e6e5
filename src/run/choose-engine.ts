import type { ModelConfig } from '../config/schema.ts';
import type { EngineName, Probe } from './probe-engine.ts';
import { tryEngine } from './try-engine.ts';

// Core ML refuses most of a backward graph, and TensorFlow.js is only there where somebody wanted it: both by name alone.
const candidates: readonly EngineName[] = ['cuda', 'dml', 'webgpu', 'cpu'];

/** An engine, and why it is this one. */
export interface EngineChoice {
  readonly name: EngineName;
  /** For the log, where there was a choice. */
  readonly reason?: string;
}

/** The engine that `model.engine` means: the one it names, or for `auto` the one that multiplies fastest and rightly. */
export async function chooseEngine(
  engine: ModelConfig['engine'],
  probe: (name: EngineName) => Promise<Probe> = tryEngine,
): Promise<EngineChoice> {
  if (engine !== 'auto') return { name: engine };
  const working: { readonly name: EngineName; readonly gigaflops: number }[] = [];
  for (const name of candidates) {
    // One after the other: two that share a device would share its speed.
    const result = await probe(name);
    if (result.kind === 'works') working.push({ name, gigaflops: result.gigaflops });
  }
  const best = working.toSorted((a, b) => b.gigaflops - a.gigaflops)[0];
  if (!best) return { name: 'cpu', reason: 'model.engine: auto found no engine that works, and takes cpu' };
  const speeds = working.map(({ name, gigaflops }) => `${name} ${Number(gigaflops.toPrecision(2))} GFLOP/s`);
  return { name: best.name, reason: `model.engine: auto takes ${best.name} (${speeds.join(', ')})` };
}
