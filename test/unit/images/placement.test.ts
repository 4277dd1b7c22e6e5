import { describe, expect, it } from 'vitest';
import { centerCrop, coverSize, place } from '../../../src/images/placement.ts';

describe('coverSize', () => {
  it('fits one side and truncates the other, as int() does in the reference', () => {
    expect(coverSize({ height: 3000, width: 4000 }, { height: 448, width: 576 })).toEqual({ height: 448, width: 597 });
    expect(coverSize({ height: 4000, width: 3000 }, { height: 512, width: 512 })).toEqual({ height: 682, width: 512 });
    expect(coverSize({ height: 100, width: 100 }, { height: 512, width: 512 })).toEqual({ height: 512, width: 512 });
  });

  it('never leaves a gap, whatever the sizes', () => {
    for (let height = 33; height < 700; height += 61) {
      for (let width = 31; width < 900; width += 47) {
        const target = { height: 416, width: 608 };
        const size = coverSize({ height, width }, target);
        expect(size.height).toBeGreaterThanOrEqual(target.height);
        expect(size.width).toBeGreaterThanOrEqual(target.width);
        expect(size.height === target.height || size.width === target.width).toBe(true);
      }
    }
  });
});

describe('centerCrop', () => {
  it('rounds a half pixel to even, as torchvision does', () => {
    const target = { height: 512, width: 512 };
    expect(centerCrop({ height: 513, width: 515 }, target)).toEqual({ top: 0, left: 2 });
    expect(centerCrop({ height: 517, width: 612 }, target)).toEqual({ top: 2, left: 50 });
  });
});

describe('place', () => {
  it('is the data of a crop', () => {
    expect(place({ height: 600, width: 800 }, { height: 512, width: 512 })).toEqual({
      resize: { height: 512, width: 682 },
      crop: { top: 0, left: 85, height: 512, width: 512 },
      flip: false,
      kernel: 'bicubic',
    });
  });
});
