import { describe, expect, it } from 'vitest';
import { bucketName, bucketsFor, nearestBucket } from '../../../datasets/buckets.ts';

const names = (resolution: number): string[] => bucketsFor(resolution).map(bucketName);

describe('bucketsFor', () => {
  it('is the table of 1024, and its half, double and quadruple', () => {
    const base = bucketsFor(1024);
    expect(base).toHaveLength(40);
    expect(base[0]).toEqual({ resolution: 1024, ratio: 0.25, height: 512, width: 2048 });
    expect(base.find(({ ratio }) => ratio === 0.52)).toMatchObject({ height: 704, width: 1344 });
    for (const [resolution, scale] of [
      [512, 0.5],
      [2048, 2],
      [4096, 4],
    ] as const) {
      const scaled = base.map((b) => ({
        resolution,
        ratio: b.ratio,
        height: b.height * scale,
        width: b.width * scale,
      }));
      expect(bucketsFor(resolution)).toEqual(scaled);
    }
  });

  it('mirrors every size but that of ratio .52', () => {
    const sizes = new Set(names(1024));
    const alone = bucketsFor(1024).filter((b) => !sizes.has(bucketName({ ...b, height: b.width, width: b.height })));
    expect(alone.map(({ ratio }) => ratio)).toEqual([0.52]);
  });

  it('has multiples of 32 at every other base, each size once, of about the base area', () => {
    for (const resolution of [128, 256, 384, 640, 768, 896, 1536]) {
      const buckets = bucketsFor(resolution);
      expect(new Set(buckets.map(bucketName)).size).toBe(buckets.length);
      expect(buckets.filter(({ ratio }) => ratio === 1)).toHaveLength(1);
      for (const { height, width, ratio } of buckets) {
        expect([height % 32, width % 32]).toEqual([0, 0]);
        expect(ratio).toBe(height / width);
        if (resolution >= 256) expect(Math.abs(Math.log((height * width) / resolution ** 2))).toBeLessThan(0.2);
      }
    }
    expect(names(256)).toContain('256: 256 x 256');
    expect(names(256)).toContain('256: 128 x 512');
  });

  it('is one square if asked', () => {
    expect(bucketsFor(256, { square: true })).toEqual([{ resolution: 256, ratio: 1, height: 256, width: 256 }]);
  });

  it('refuses a resolution that latents do not divide', () => {
    expect(() => bucketsFor(500)).toThrow('The resolution is 500; use a multiple of 32 from 64, such as 512 or 1024.');
    expect(() => bucketsFor(0)).toThrow('The resolution is 0');
  });
});

describe('nearestBucket', () => {
  const nearest = (height: number, width: number): string =>
    bucketName(nearestBucket(bucketsFor(1024), { height, width }));

  it('goes by height over width, as the table rounds it', () => {
    expect(nearest(3000, 4000)).toBe('1024: 832 x 1152'); // .75 is as near to .78; Python's min takes the first
    expect(nearest(2, 3)).toBe('1024: 832 x 1216');
    expect(nearest(1080, 1920)).toBe('1024: 768 x 1344');
    expect(nearest(1920, 1080)).toBe('1024: 1344 x 768');
    expect(nearest(1, 100)).toBe('1024: 512 x 2048');
    expect(nearest(100, 1)).toBe('1024: 2048 x 512');
  });
});
