import { describe, expect, it } from 'vitest';

import { float32 } from '../../../src/graph/tensor.ts';
import { type AdaptedModule, parameterName } from '../../../src/lora/adapter-config.ts';
import type { Adapter } from '../../../src/lora/adapter-file.ts';
import { combineAdapters } from '../../../src/lora/combine-adapters.ts';
import { addDelta, moduleDelta } from '../../../src/lora/module-delta.ts';
import { resizeAdapter } from '../../../src/lora/resize-adapter.ts';

function adapter(name: string, a: readonly number[], b: readonly number[], scale: number): Adapter {
  const module: AdaptedModule = {
    inFeatures: 2,
    outFeatures: 2,
    bias: false,
    rank: a.length / 2,
    alpha: 1,
    scale,
    dora: false,
    dropout: 0,
  };
  return {
    modules: new Map([[name, module]]),
    tensors: new Map([
      [parameterName(name, 'lora_A'), float32([a.length / 2, 2], a)],
      [parameterName(name, 'lora_B'), float32([2, b.length / 2], b)],
    ]),
  };
}

function added(of: Adapter, name: string): number[] {
  const out = new Float32Array(4);
  addDelta(out, moduleDelta(of, name));
  return [...out];
}

describe('combineAdapters', () => {
  const first = adapter('to_q', [1, 2], [3, 4], 2); // 2 [3 4]^T [1 2] = [6 12; 8 16]
  const second = adapter('to_q', [1, 0, 0, 1], [1, 0, 0, 1], 1); // the unit matrix
  const third = adapter('to_k', [1, 1], [1, 1], 1);

  it('adds what the adapters add, at their scales, with the sum of their ranks', () => {
    const both = combineAdapters([
      { adapter: first, scale: 0.5 },
      { adapter: second, scale: -1 },
      { adapter: third, scale: 3 },
    ]);
    expect(both.modules.get('to_q')?.rank).toBe(3);
    expect(added(both, 'to_q')).toEqual([2, 6, 4, 7]);
    expect(added(both, 'to_k')).toEqual([3, 3, 3, 3]);
  });

  it('refuses magnitudes', () => {
    const module = first.modules.get('to_q');
    const dora: Adapter = {
      modules: new Map(module ? [['to_q', { ...module, dora: true }]] : []),
      tensors: new Map([...first.tensors, [parameterName('to_q', 'lora_magnitude_vector'), float32([2], [1, 1])]]),
    };
    expect(() => combineAdapters([{ adapter: dora, scale: 1 }])).toThrow('DoRA');
  });
});

describe('resizeAdapter', () => {
  it('keeps the largest singular values, and says what the others are', () => {
    // diag(3, 4): of rank 1 remains diag(0, 4), and 3 of 5 is lost.
    const { adapter: small, error } = resizeAdapter(adapter('to_q', [1, 0, 0, 2], [3, 0, 0, 2], 1), 1);
    expect(error).toBeCloseTo(3 / 5, 6);
    expect(Float32Array.from(added(small, 'to_q'))).toBeAllclose([0, 0, 0, 4], { atol: 1e-6 });
  });

  it('leaves lower ranks as they are, and takes zeros', () => {
    const low = resizeAdapter(adapter('to_q', [1, 2], [3, 4], 2), 4);
    expect(low.error).toBe(0);
    expect(added(low.adapter, 'to_q')).toEqual([6, 12, 8, 16]);
    const zero = resizeAdapter(adapter('to_q', [0, 0, 0, 0], [0, 0, 0, 0], 1), 1);
    expect(zero.error).toBe(0);
    expect(added(zero.adapter, 'to_q')).toEqual([0, 0, 0, 0]);
  });

  it('refuses a rank that is none', () => {
    expect(() => resizeAdapter(adapter('to_q', [1, 2], [3, 4], 2), 0)).toThrow('rank');
  });
});
