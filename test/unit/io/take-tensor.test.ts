import { describe, expect, it } from 'vitest';
import { float32, tensor } from '../../../src/graph/tensor.ts';
import type { TensorLocation, Weights } from '../../../src/io/safetensors.ts';
import { checkNoUnknownTensors, takeTensor } from '../../../src/io/take-tensor.ts';

const location: TensorLocation = {
  path: '/cache/0f',
  namedPath: 'm/a.safetensors',
  dtype: 'bfloat16',
  shape: [2, 3],
  offset: 8,
  byteLength: 12,
};
const weights: Weights = new Map<string, TensorLocation | ReturnType<typeof tensor>>([
  ['proj.weight', location],
  ['memory', float32([1], [1])],
  ['ids', tensor('int64', [1], BigInt64Array.of(1n))],
]);

describe('takeTensor', () => {
  it('returns a tensor of the right shape, -1 being any size', () => {
    expect(takeTensor(weights, 'proj.weight', [2, 3])).toBe(location);
    expect(takeTensor(weights, 'proj.weight', [-1, 3])).toBe(location);
  });
  it('names file, tensor and what was expected', () => {
    expect(() => takeTensor(weights, 'x', [4])).toThrow(
      /^m\/a\.safetensors has no tensor "x", expected with shape \[4\]; .*\.$/,
    );
    expect(() => takeTensor(weights, 'proj.weight', [-1, 4])).toThrow(
      /^m\/a\.safetensors has tensor "proj\.weight" with shape \[2, 3\], expected \[\?, 4\]; /,
    );
    expect(() => takeTensor(weights, 'proj.weight', [2])).toThrow(/expected \[2\]/);
    expect(() => takeTensor(weights, 'ids', [1])).toThrow(/"ids" as int64, expected float32 or float16 or bfloat16/);
    expect(takeTensor(weights, 'ids', [1], ['int64']).dtype).toBe('int64');
  });
});

describe('checkNoUnknownTensors', () => {
  it('names what a model does not use', () => {
    expect(() => checkNoUnknownTensors(weights, ['proj.weight', 'memory', 'ids', 'more'])).not.toThrow();
    expect(() => checkNoUnknownTensors(weights, ['memory', 'ids'])).toThrow(
      /^m\/a\.safetensors has tensors that the model does not know: "proj\.weight"; /,
    );
    const many = new Map(['a', 'b', 'c', 'd', 'e'].map((name) => [name, location]));
    expect(() => checkNoUnknownTensors(many, ['a'])).toThrow('"b", "c", "d" and 1 more');
  });
});
