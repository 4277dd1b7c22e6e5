import { describe, expect, it } from 'vitest';

import { float32 } from '../../../../src/graph/tensor.ts';
import { toPixels, toPlanes } from '../../../../tools/pico-score/pixels.ts';

describe('toPixels', () => {
  it('rounds and clamps as a file would', () => {
    const image = float32([1, 3, 1, 2], new Float32Array([-0.1, 0, 0.2, 0.5019, 1, 1.7]));
    expect(toPixels(image)).toEqual({ height: 1, width: 2, data: Uint8ClampedArray.of(0, 0, 51, 128, 255, 255) });
  });

  it('refuses what is no picture', () => {
    expect(() => toPixels(float32([1, 1, 1, 2], new Float32Array(2)))).toThrow(
      '[1, 3, H, W] expected, got [1, 1, 1, 2]',
    );
  });
});

describe('toPlanes', () => {
  const rows = [
    [0, 255, 255, 255],
    [0, 255, 255, 255],
  ];
  const picture = { height: 2, width: 4, data: Uint8ClampedArray.from([rows, rows, rows].flat(2)) };

  it('puts bytes into [-1, 1]', () => {
    expect(toPlanes(picture).slice(0, 4)).toEqual(Float32Array.of(-1, 1, 1, 1));
  });

  it('takes the mean of squares', () => {
    expect(toPlanes(picture, 2)).toEqual(Float32Array.of(0, 1, 0, 1, 0, 1));
  });

  it('refuses sides that do not divide', () => {
    expect(() => toPlanes(picture, 3)).toThrow('2 x 4 pixels do not divide into squares of 3');
  });
});
