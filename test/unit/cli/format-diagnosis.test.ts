import { describe, expect, it } from 'vitest';

import { type Diagnosis, type Finding, formatDiagnosis } from '../../../src/cli/format-diagnosis.ts';

const cpu: Finding = {
  engine: 'onnxruntime',
  name: 'cpu',
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
          engine: 'onnxruntime',
          name: 'webgpu',
          probe: {
            kind: 'fails',
            reason:
              'onnxruntime: /src/webgpu_context.cc:136 f()::<lambda()> status == Success was false. Failed to get a WebGPU adapter: No supported adapters\n',
          },
        },
        {
          engine: 'onnxruntime',
          name: 'cuda',
          probe: { kind: 'fails', reason: 'onnxruntime: Failed to load shared library' },
        },
        {
          engine: 'tfjs',
          name: '@tensorflow/tfjs-node',
          probe: { kind: 'fails', reason: 'The package @tensorflow/tfjs-node is not installed; run npm install.' },
        },
      ]),
    );
    expect(text).toBe(`this machine
  sana-train             0.1.0, Node v20.19.0, linux 6.1 x64
  processor              2 cores (A processor)
  memory                 16.0 GB, 8.0 GB free
  cache                  /cache, 100 GB free
  hub                    can be reached; no token

engines
  onnxruntime cpu        works, 190 GFLOP/s in float32
  onnxruntime webgpu     does not work: Failed to get a WebGPU adapter: No supported adapters (it takes a GPU with its driver, and on Linux the Vulkan loader, libvulkan1)
  onnxruntime cuda       not installed; on Linux with an NVIDIA GPU, CUDA and cuDNN 9, this adds it: node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12
  @tensorflow/tfjs-node  not installed; npm install @tensorflow/tfjs-node adds it

The processor is the fastest here: model.provider: cpu, which is the default.
`);
  });

  it('names what a config needs for the fastest, and what gives wrong results', () => {
    const text = formatDiagnosis(
      diagnosis([
        cpu,
        { engine: 'onnxruntime', name: 'cuda', probe: { kind: 'works', gigaflops: 15_234, seconds: 1 } },
        { engine: 'onnxruntime', name: 'webgpu', probe: { kind: 'wrong', error: 0.0234 } },
      ]),
    );
    expect(text).toContain('cuda    works, 15000 GFLOP/s');
    expect(text).toContain('gives wrong results (a product of matrices is off by 0.023): do not use it');
    expect(text).toContain('The fastest here is onnxruntime cuda: model.provider: cuda.');
  });

  it('says so when nothing works', () => {
    const text = formatDiagnosis(diagnosis([{ ...cpu, probe: { kind: 'fails', reason: 'no library' } }]));
    expect(text).toContain('No engine works here, so nothing can be trained.');
  });
});
