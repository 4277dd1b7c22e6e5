import { describe, expect, it } from 'vitest';

import { type Diagnosis, type Finding, formatDiagnosis } from '../../../src/cli/format-diagnosis.ts';

const cpu: Finding = {
  engine: 'cpu',
  probe: { kind: 'works', gigaflops: 187.3, seconds: 1 },
};

function diagnosis(engines: readonly Finding[]): Diagnosis {
  return {
    version: '0.1.0',
    node: 'v20.19.0',
    system: 'linux 6.1 x64',
    cores: 2,
    processor: 'A processor',
    memory: 16e9,
    availableMemory: 8e9,
    folders: [{ name: 'cache', path: '/cache', free: 100e9 }],
    hub: 'can be reached; no token',
    engines,
  };
}

describe('formatDiagnosis', () => {
  it('says what works and how fast, and why the others do not', () => {
    const text = formatDiagnosis(
      diagnosis([
        cpu,
        {
          engine: 'webgpu',
          probe: { kind: 'fails', reason: 'The engine webgpu finds no GPU; use model.engine: cpu.' },
        },
      ]),
    );
    expect(text).toBe(`this machine
  sana-train  0.1.0, Node v20.19.0, linux 6.1 x64
  processor   2 cores (A processor)
  memory      16.0 GB, 8.0 GB free
  cache       /cache, 100 GB free
  hub         can be reached; no token

engines
  cpu         works, 190 GFLOP/s in float32
  webgpu      The engine webgpu finds no GPU; use model.engine: cpu.

The processor is the fastest here: model.engine: cpu, which is the default.
`);
  });

  it('names what a config needs for the fastest, and what gives wrong results', () => {
    const text = formatDiagnosis(
      diagnosis([
        cpu,
        { engine: 'cuda', probe: { kind: 'works', gigaflops: 15_234, seconds: 1 } },
        { engine: 'webgpu', probe: { kind: 'wrong', error: 0.0234 } },
      ]),
    );
    expect(text).toContain('cuda        works, 15000 GFLOP/s');
    expect(text).toContain('gives wrong results (a product of matrices is off by 0.023): do not use it');
    expect(text).toContain('The fastest here is cuda: model.engine: cuda.');
  });

  it('says so when nothing works', () => {
    const text = formatDiagnosis(diagnosis([{ ...cpu, probe: { kind: 'fails', reason: 'no library' } }]));
    expect(text).toContain('No engine works here, so nothing can be trained.');
  });
});
