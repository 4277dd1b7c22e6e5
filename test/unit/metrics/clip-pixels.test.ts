import { describe, expect, it } from 'vitest';

import { UserError } from '../../../src/errors.ts';
import { clipPixels } from '../../../src/metrics/clip-pixels.ts';

const config = {
  size: { shortest_edge: 2 },
  crop_size: { height: 2, width: 2 },
  image_mean: [0, 0, 0],
  image_std: [1, 1, 1],
};

describe('clipPixels', () => {
  it('cuts the middle out and puts the channels one after another', () => {
    // 4 x 2: columns 0 and 3 are cut away.
    const grey = [9, 1, 2, 9, 9, 3, 4, 9].flatMap((value) => [value, value + 100, value + 200]);
    const { pixels } = clipPixels({ ...config, rescale_factor: 1 });
    const out = pixels({ data: Uint8Array.from(grey), width: 4, height: 2 });
    expect([...out]).toEqual([1, 2, 3, 4, 101, 102, 103, 104, 201, 202, 203, 204]);
  });

  it('rounds the longer side down, as CLIPImageProcessor', () => {
    // 3 x 5 with a shorter side of 2 becomes 2 x 3, of which the upper two rows are cut out: floor((3 - 2) / 2) = 0.
    const { pixels } = clipPixels({ ...config, resample: 2, rescale_factor: 1 });
    const data = Uint8Array.from({ length: 45 }, (_, i) => Math.floor(i / 9) * 50);
    const [first, , third] = pixels({ data, width: 3, height: 5 });
    expect(first).toBeLessThan(third ?? 0);
    expect(third).toBe(100);
  });

  it('refuses a config without a normalisation', () => {
    expect(() => clipPixels({ size: 224 })).toThrow(UserError);
    expect(() => clipPixels(null)).toThrow(/preprocessor_config.json/);
  });
});
