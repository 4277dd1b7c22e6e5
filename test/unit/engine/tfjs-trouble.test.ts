import { describe, expect, it } from 'vitest';

import { explainTfjsTrouble } from '../../../src/engine/tfjs-trouble.ts';

describe('explainTfjsTrouble', () => {
  it('names a kernel that the backend lacks', () => {
    const reason = "Kernel 'Erf' not registered for backend 'wasm'. Did you forget to import it?";
    const error = explainTfjsTrouble('erf', reason);
    expect(error?.trouble).toBe('op');
    expect(error?.message).toBe(
      'The engine tfjs cannot compute erf: its backend wasm has no kernel Erf; use another backend, such as @tensorflow/tfjs-node, or model.engine: cpu.',
    );
  });

  it.each([
    ['OOM when allocating tensor with shape[2,1024,5600] and type float', 'memory'],
    ['Array buffer allocation failed', 'memory'],
    ['CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered', 'lost'],
  ])('takes %j for %s', (reason, trouble) => {
    expect(explainTfjsTrouble('matMul', reason)?.trouble).toBe(trouble);
  });

  it('leaves other errors alone', () => {
    expect(explainTfjsTrouble('matMul', 'inner shapes (3) and (4) must match')).toBeUndefined();
  });
});
