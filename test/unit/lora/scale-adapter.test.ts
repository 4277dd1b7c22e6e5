import { describe, expect, it } from 'vitest';
import { scaleAdapter } from '../../../src/lora/scale-adapter.ts';

const module = { inFeatures: 2, outFeatures: 2, bias: false, rank: 4, alpha: 8, scale: 2, dora: false, dropout: 0 };
const adapter = { modules: new Map([['to_q', module]]), tensors: new Map() };

describe('scaleAdapter', () => {
  it('multiplies the scale that alpha and rank give', () => {
    expect(scaleAdapter(adapter, 0.5).modules.get('to_q')).toEqual({ ...module, scale: 1 });
    expect(adapter.modules.get('to_q')?.scale).toBe(2);
  });

  it('refuses a scale that is no number', () => {
    expect(() => scaleAdapter(adapter, Number.NaN)).toThrow("An adapter's scale is NaN; use a number such as 0.8");
  });
});
