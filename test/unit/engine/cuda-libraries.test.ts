import { describe, expect, it } from 'vitest';

import { parseMissing } from '../../../src/engine/cuda-libraries.ts';

describe('parseMissing', () => {
  it("finds what is missing in ldd's lines", () => {
    // Of onnxruntime 1.30's libonnxruntime_providers_cuda.so, on a machine without CUDA.
    const lines = [
      '\tlinux-vdso.so.1 (0x00007ffe3a5d3000)',
      '\tlibcublasLt.so.13 => not found',
      '\tlibcudart.so.13 => not found',
      '\tlibcuda.so.1 => not found',
      '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f6d1f000000)',
    ];
    expect(parseMissing(lines.join('\n'))).toEqual(['libcublasLt.so.13', 'libcudart.so.13', 'libcuda.so.1']);
    expect(parseMissing('')).toEqual([]);
  });
});
