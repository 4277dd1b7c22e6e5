import { describe, expect, it } from 'vitest';

import { chooseEngine } from '../../../src/run/choose-engine.ts';
import type { Probe } from '../../../src/run/probe-engine.ts';

function probes(results: Readonly<Record<string, number | 'wrong'>>): (name: string) => Promise<Probe> {
  return (name) => {
    const result = results[name];
    if (result === undefined) return Promise.resolve({ kind: 'fails', reason: 'It is not there.' });
    if (result === 'wrong') return Promise.resolve({ kind: 'wrong', error: 0.1 });
    return Promise.resolve({ kind: 'works', gigaflops: result, seconds: 1 });
  };
}

describe('chooseEngine', () => {
  it('takes the engine that is named and tries none', async () => {
    const never = (): Promise<Probe> => Promise.reject(new Error('tried'));
    expect(await chooseEngine('webgpu', never)).toEqual({ name: 'webgpu' });
  });

  it('takes the fastest that is right for auto, and says so', async () => {
    expect(await chooseEngine('auto', probes({ cpu: 187, webgpu: 5120, cuda: 'wrong' }))).toEqual({
      name: 'webgpu',
      reason: 'model.engine: auto takes webgpu (webgpu 5100 GFLOP/s, cpu 190 GFLOP/s)',
    });
    // A software adapter is a GPU that is slower than the processor.
    expect(await chooseEngine('auto', probes({ cpu: 187, webgpu: 0.4 }))).toMatchObject({ name: 'cpu' });
  });

  it('takes the CPU where nothing works, whose own error then says why', async () => {
    expect(await chooseEngine('auto', probes({}))).toMatchObject({ name: 'cpu' });
  });
});
