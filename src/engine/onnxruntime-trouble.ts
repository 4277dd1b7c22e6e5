import { EngineError, type EngineTrouble } from './engine-error.ts';

/** onnxruntime's execution providers, by the names that a config gives engines. */
export type Provider = 'cpu' | 'webgpu' | 'cuda' | 'dml' | 'coreml';

/** Where onnxruntime-node's package has a provider (its bin folder and script/install-metadata.js, 1.30). */
const platforms: Readonly<Record<Provider, readonly string[]>> = {
  cpu: ['linux x64', 'linux arm64', 'win32 x64', 'win32 arm64', 'darwin arm64'],
  webgpu: ['linux x64', 'win32 x64', 'win32 arm64', 'darwin arm64'],
  cuda: ['linux x64'],
  dml: ['win32 x64', 'win32 arm64'],
  coreml: ['darwin arm64'],
};

const platformNames: Readonly<Record<string, string>> = { linux: 'Linux', win32: 'Windows', darwin: 'macOS' };

function spoken(platform: string): string {
  const [system = '', processor = ''] = platform.split(' ');
  return `${platformNames[system] ?? system} (${processor})`;
}

/** Why a provider cannot be on a platform, such as 'linux x64'; undefined where it can. */
export function whyNotHere(provider: Provider, platform: string): string | undefined {
  const having = platforms[provider];
  if (having.includes(platform)) return undefined;
  const remedy = platforms.webgpu.includes(platform) && provider !== 'cpu' ? 'webgpu for a GPU, or cpu' : 'cpu';
  const instead = platforms.cpu.includes(platform) ? `use model.engine: ${remedy}` : 'use model.engine: tfjs';
  return `onnxruntime has the engine ${provider} for ${having.map(spoken).join(', ')} and this is ${spoken(platform)}; ${instead}.`;
}

// As onnxruntime 1.30, Dawn, CUDA and DirectX word it. Those of WebGPU were seen, on a software adapter; the others were
// read. 'is invalid due to a previous error' is what becomes of a buffer that could not be had.
const patterns: readonly (readonly [trouble: EngineTrouble, pattern: RegExp])[] = [
  ['lost', /device (is|was|has been)? ?lost|DEVICE_LOST|DEVICE_(REMOVED|HUNG|RESET)|887A000[567]/i],
  ['lost', /CUDA (failure|error) (\d+: )?.*(illegal|unspecified launch|ECC|launch timed out|unknown error)/i],
  ['lost', /Failed to wait for the operation/],
  ['memory', /out of memory|OUT_OF_(DEVICE|HOST)?_?MEMORY|OUTOFMEMORY|8007000E|ALLOC_FAILED|bad_?alloc/i],
  [
    'memory',
    /Failed to allocate memory|Allocation size too large|max buffer size|numbers_storage_buffers_|Status Message: narrowing_error/i,
  ],
  ['memory', /\[Invalid Buffer.* is invalid due to a previous error/i],
  ['op', /fallback to CPU EP has been explicitly disabled|Could not find an implementation for|is not a registered/],
  [
    'absent',
    /Failed to get a WebGPU (adapter|device)|backend not found|Failed to load (shared )?library|onnxruntime_binding\.node/i,
  ],
  ['absent', /no CUDA-capable device|driver version is insufficient|CUDA (failure|error) (3|35|100|999):/i],
];

/** What an error of onnxruntime says of its engine; undefined where it says something else. */
export function troubleOf(reason: string): EngineTrouble | undefined {
  return patterns.find(([, pattern]) => pattern.test(reason))?.[0];
}

/** What is known of the machine beside what onnxruntime says. */
export interface Surroundings {
  /** Such as 'linux x64'. */
  readonly platform: string;
  /** The folder of onnxruntime's libraries that holds CUDA's; undefined where that has not been installed. */
  readonly cudaLibrary?: string | undefined;
  /** Shared libraries that CUDA's library needs and the system does not find. */
  readonly missingLibraries?: readonly string[];
}

/** An error of onnxruntime as a sentence with its remedy, where it is about the engine; otherwise undefined. */
export function explainTrouble(
  provider: Provider,
  reason: string,
  surroundings: Surroundings,
): EngineError | undefined {
  const trouble = troubleOf(reason);
  if (trouble === undefined) return undefined;
  const text = sentence(trouble, provider, firstLine(reason), surroundings);
  return new EngineError(trouble, text, { cause: new Error(reason) });
}

/** What onnxruntime's first line says, without the place in its sources. */
function firstLine(reason: string): string {
  const [line = ''] = reason.trim().split('\n');
  const said = /Failed to \w+ .*/.exec(line)?.[0] ?? line.replace(/^.*(Status Message: |was false\. )/, '');
  return said.replace(/[.\s]+$/, '').slice(0, 200);
}

function sentence(trouble: EngineTrouble, provider: Provider, reason: string, surroundings: Surroundings): string {
  switch (trouble) {
    case 'absent':
      return whyNotHere(provider, surroundings.platform) ?? whyAbsent(provider, reason, surroundings);
    case 'op': {
      const op = /implementation for (\w+)/.exec(reason)?.[1];
      return `The engine ${provider} cannot compute ${op === undefined ? 'an operation of this model' : `the operation ${op}`}; use model.engine: cpu, which computes all.`;
    }
    case 'memory':
      return provider === 'cpu'
        ? `There is too little memory for this step (${reason}); set train.gradient_checkpointing: true, or lower train.batch_size or the resolution.`
        : `The device of the engine ${provider} has too little memory (${reason}); set train.gradient_checkpointing: true, lower train.batch_size or the resolution, or use model.engine: cpu.`;
    case 'lost':
      return `The device of the engine ${provider} was lost (${reason}); the same command goes on from the last checkpoint, and with model.engine_failure: cpu a run goes on by itself on the CPU.`;
  }
}

const cudaInstall = 'node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12';

function whyAbsent(provider: Provider, reason: string, { cudaLibrary, missingLibraries = [] }: Surroundings): string {
  switch (provider) {
    case 'webgpu':
      return `The engine webgpu finds no GPU (${reason}); install the GPU's driver, and on Linux the Vulkan loader, libvulkan1, or use model.engine: cpu.`;
    case 'cuda': {
      if (cudaLibrary === undefined) {
        return `CUDA's part of onnxruntime is not installed; run ${cudaInstall} (it takes an NVIDIA GPU with its driver, CUDA and cuDNN 9), or use model.engine: cpu.`;
      }
      if (missingLibraries.length === 0) {
        return `CUDA does not work here (${reason}); look whether nvidia-smi finds a GPU and a driver of this CUDA's age, or use model.engine: cpu.`;
      }
      return `CUDA's part of onnxruntime does not find ${missingLibraries.join(', ')}; install ${cudaParts(missingLibraries)}, with its folder in LD_LIBRARY_PATH, or use model.engine: cpu.`;
    }
    case 'dml':
      return `DirectML does not work here (${reason}); it takes a GPU with DirectX 12 and its driver; or use model.engine: cpu.`;
    case 'coreml':
    case 'cpu':
      return `The engine ${provider} does not work here (${reason}); install sana-train again${provider === 'cpu' ? ', on Windows with the Visual C++ redistributable' : ', or use model.engine: cpu'}.`;
  }
}

/** What to install for libraries such as libcublasLt.so.13, libcudnn.so.9 and libcuda.so.1, which is the driver's. */
function cudaParts(libraries: readonly string[]): string {
  const partOf = (name: string): string => {
    if (name.startsWith('libcudnn.')) return 'cuDNN 9';
    return name === 'libcuda.so.1' ? "NVIDIA's driver" : 'CUDA';
  };
  const versions = libraries.map((name) => /^lib(?:cublas|cublasLt|cudart)\.so\.(\d+)/.exec(name)?.[1]);
  const version = versions.find((found) => found !== undefined);
  const parts = libraries.map(partOf).map((part) => (part === 'CUDA' && version ? `CUDA ${version}` : part));
  return [...new Set(parts)].join(' and ');
}
