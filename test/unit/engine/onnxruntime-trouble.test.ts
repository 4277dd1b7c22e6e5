import { describe, expect, it } from 'vitest';

import { explainTrouble, type Provider, troubleOf, whyNotHere } from '../../../src/engine/onnxruntime-trouble.ts';

// Seen with onnxruntime-node 1.30 on Linux; WebGPU's on SwiftShader, by asking for more than there is.
const seen = {
  noAdapter:
    '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n',
  noMemory:
    'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While validating entries[1] against { binding: 1 }.',
  tooLarge:
    "Non-zero status code returned while running Add node. Name:'Add_1' Status Message: /onnxruntime_src/onnxruntime/core/providers/webgpu/shader_helper.cc:306 onnxruntime::webgpu::ShaderVariableHelper& onnxruntime::webgpu::ShaderHelper::AddVariableImpl(bool, const std::string&) numbers_storage_buffers_ <= limits",
  arena:
    'Exception during initialization: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1',
  fallback:
    'This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled by the user.',
  noCuda: 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library',
  noBackend: 'no available backend found. ERR: [dml] backend not found.',
};

function explain(provider: Provider, reason: string, rest = {}): string | undefined {
  return explainTrouble(provider, reason, { platform: 'linux x64', ...rest })?.message;
}

describe('explainTrouble', () => {
  it('says what an absent GPU takes', () => {
    expect(explain('webgpu', seen.noAdapter)).toBe(
      "The engine webgpu finds no GPU (Failed to get a WebGPU adapter: No supported adapters); install the GPU's driver, and on Linux the Vulkan loader, libvulkan1, or use model.engine: cpu.",
    );
  });

  it('says what CUDA takes: its part of onnxruntime, its libraries, or a driver', () => {
    expect(explain('cuda', seen.noCuda)).toBe(
      "CUDA's part of onnxruntime is not installed; run node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 (it takes an NVIDIA GPU with its driver, CUDA and cuDNN 9), or use model.engine: cpu.",
    );
    const missing = ['libcublasLt.so.13', 'libcudart.so.13', 'libcuda.so.1'];
    expect(explain('cuda', seen.noCuda, { cudaLibrary: '/x.so', missingLibraries: missing })).toBe(
      "CUDA's part of onnxruntime does not find libcublasLt.so.13, libcudart.so.13, libcuda.so.1; install CUDA 13 and NVIDIA's driver, with its folder in LD_LIBRARY_PATH, or use model.engine: cpu.",
    );
    expect(explain('cuda', seen.noCuda, { cudaLibrary: '/x.so', missingLibraries: ['libcudnn.so.9'] })).toContain(
      'install cuDNN 9, with',
    );
    expect(explain('cuda', 'CUDA failure 100: no CUDA-capable device is detected', { cudaLibrary: '/x.so' })).toContain(
      'look whether nvidia-smi finds a GPU',
    );
  });

  it('names the platforms of an engine that this one is not among', () => {
    expect(explain('dml', seen.noBackend)).toBe(
      'onnxruntime has the engine dml for Windows (x64), Windows (arm64) and this is Linux (x64); use model.engine: webgpu for a GPU, or cpu.',
    );
    expect(whyNotHere('webgpu', 'linux arm64')).toContain('use model.engine: cpu.');
    expect(whyNotHere('cpu', 'darwin x64')).toContain('use model.engine: tfjs.');
    expect(whyNotHere('webgpu', 'darwin arm64')).toBeUndefined();
  });

  it('tells too little memory, a lost device and a missing op apart', () => {
    expect(explain('webgpu', seen.noMemory)).toContain('The device of the engine webgpu has too little memory (WebGPU');
    expect(explain('webgpu', seen.tooLarge)).toContain('too little memory');
    expect(explain('cuda', seen.arena)).toContain(
      'The device of the engine cuda has too little memory (Failed to allocate memory for requested buffer of size 1);',
    );
    expect(explain('cpu', 'std::bad_alloc')).toBe(
      'There is too little memory for this step (std::bad_alloc); set train.gradient_checkpointing: true, or lower train.batch_size or the resolution.',
    );
    expect(explain('webgpu', seen.fallback)).toContain(
      'cannot compute an operation of this model; use model.engine: cpu',
    );
    expect(explain('cuda', "Could not find an implementation for Foo(1) node with name 'a'")).toContain(
      'operation Foo;',
    );
    expect(explain('webgpu', 'vkQueueSubmit failed with VK_ERROR_DEVICE_LOST')).toContain('was lost');
  });

  it.each([
    ['CUDA failure 2: out of memory ; GPU=0', 'memory'],
    ['CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED', 'memory'],
    ['Failed to allocate memory for requested buffer of size 8589934592', 'memory'],
    // More than 2^32 elements on WebGPU.
    ["Non-zero status code returned while running Add node. Name:'Add_0' Status Message: narrowing_error", 'memory'],
    ['CUDA failure 700: an illegal memory access was encountered', 'lost'],
    ['CUDA failure 719: unspecified launch failure', 'lost'],
    ['D3D12 error: 887A0005 DXGI_ERROR_DEVICE_REMOVED', 'lost'],
    ['8007000E Not enough memory resources are available', 'memory'],
    ['CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version', 'absent'],
    ["Cannot find module '../bin/napi-v6/darwin/x64/onnxruntime_binding.node'", 'absent'],
    ["Invalid Feed Input Name: 'x'", undefined],
  ])('takes %j for %s', (reason, trouble) => {
    expect(troubleOf(reason)).toBe(trouble);
  });

  it('leaves other errors as they are', () => {
    expect(explain('cpu', 'Load model failed: offset out of bounds')).toBeUndefined();
  });
});
