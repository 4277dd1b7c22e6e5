import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { EngineError } from '../../src/engine/engine-error.ts';
import { createOnnxruntimeEngine } from '../../src/engine/onnxruntime.ts';
import { UserError } from '../../src/errors.ts';
import { createGraph } from '../../src/graph/graph.ts';
import { add, mul } from '../../src/graph/ops/elementwise.ts';
import { reduceMean } from '../../src/graph/ops/reduce.ts';
import { float32, fromFloat32, type Tensor, toFloat32 } from '../../src/graph/tensor.ts';
import { input } from '../../src/graph/value.ts';
import { isTensorLocation, readTensor } from '../../src/io/safetensors.ts';
import { createTrainingStep } from '../../src/lora/training-step.ts';
import { readCases, readTensors } from './cases.ts';
import { compareTensors } from './compare.ts';
import { adapterOf, parametersOf } from './kinds/lora-grad.ts';
import { batchOf, closeSharedEngine, sharedEngine, transformerOf, useEngine } from './pipeline.ts';
import { runFolders } from './run-folders.ts';

const usage = `Usage: npm run test:webgpu -- [DIR]... [--only KIND]...

Runs the models' cases, of test/parity/goldens or of folders that make_cases.py wrote, through onnxruntime's WebGPU
provider, with no op on the CPU. Without a GPU it takes Debian's software adapter, from libvulkan1 and chromium. Where
there is no adapter at all it says so and exits with 0.`;

const modelKinds = ['transformer', 'lora_grad', 'lora_train', 'dcae_encode', 'dcae_decode', 'text_encode'];
const goldens = ['plain', 'affine'].map((variant) => path.join('test', 'parity', 'goldens', variant));
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { only: { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  // One for all: two engines of WebGPU in a process block each other.
  useEngine(() => createOnnxruntimeEngine({ provider: 'webgpu', cpuFallback: false }));
  const missing = await whyNoAdapter();
  if (missing !== undefined && process.env.VK_ICD_FILENAMES === undefined && existsSync(SWIFTSHADER)) {
    // chromium does not register its adapter with the Vulkan loader, which looks once in a process.
    const env = { ...process.env, VK_ICD_FILENAMES: SWIFTSHADER };
    const command = [...process.execArgv, ...process.argv.slice(1)];
    return spawnSync(process.execPath, command, { env, stdio: 'inherit' }).status ?? 1;
  }
  if (missing !== undefined) {
    console.log(`Skipped: ${missing}`);
    return 0;
  }
  let isWhole = true;
  if (!values.only && positionals.length === 0) {
    const results = [await narrowWeights('bfloat16'), await narrowWeights('float16'), await tooMuchMemory()];
    isWhole = results.every(Boolean);
  }
  const exitCode = await runFolders(positionals.length > 0 ? positionals : goldens, values.only ?? modelKinds);
  return isWhole ? exitCode : 1;
}

function report(name: string, isPass: boolean, detail: string): boolean {
  console.log(`${name}: ${isPass ? 'pass' : 'FAIL'}  ${detail}`);
  return isPass;
}

/** Weights of 16 bits, as models are published, give the gradients that they give on the CPU. */
async function narrowWeights(dtype: 'bfloat16' | 'float16'): Promise<boolean> {
  const folder = path.resolve('test/parity/goldens/plain');
  const entry = (await readCases(folder)).find(({ name }) => name === 'lora_all_r3_a6_grad');
  if (!entry) throw new RangeError(`${folder} has no case lora_all_r3_a6_grad`);
  const inputs = await readTensors(folder, entry.inputs ?? '');
  const parityCase = { ...entry, inputs, folder, expectedNames: [] };
  const model = await transformerOf(parityCase);
  const weights = new Map<string, Tensor>();
  for (const [name, source] of model.weights) {
    const { shape, ...rest } = isTensorLocation(source) ? await readTensor(source) : source;
    weights.set(name, fromFloat32(dtype, shape, toFloat32({ shape, ...rest })));
  }
  const adapter = await adapterOf(parityCase);
  const cpu = createOnnxruntimeEngine();
  const [expected, got] = await Promise.all(
    [cpu, sharedEngine()].map(async (engine) => {
      const step = await createTrainingStep(engine, { ...model, weights }, adapter.modules);
      const { loss, gradients } = await step.run(batchOf(parityCase, model), parametersOf(adapter));
      await step.dispose();
      return new Map([...gradients, ['loss', float32([], [loss])] as const]);
    }),
  );
  await cpu.close();
  if (!expected || !got) throw new RangeError('no gradients');
  const { error, detail } = compareTensors(got, expected, 1e-3);
  return report(`weights in ${dtype}`, error <= 1, `${error.toPrecision(3)} of 1e-3 from the CPU, ${detail}`);
}

/** A step that is too large is refused with a sentence, and the engine still works. */
async function tooMuchMemory(): Promise<boolean> {
  const sum = add(input('x', ['N', 1]), input('y', [1, 'N'])); // 64 GiB of float32
  const executable = await sharedEngine().compile(createGraph({ mean: reduceMean(sum) }), new Map());
  const run = (size: number): Promise<Record<string, Tensor>> =>
    executable.run({
      x: float32([size, 1], new Float32Array(size)),
      y: float32([1, size], new Float32Array(size).fill(1)),
    });
  const error = await run(2 ** 17).catch((reason: unknown) => reason);
  const isExplained = error instanceof EngineError && error.trouble === 'memory';
  const { mean } = await run(4);
  await executable.dispose();
  return report('too little memory', isExplained && mean?.data[0] === 1, error instanceof Error ? error.message : '');
}

/** Why there is nothing to run on, or undefined. */
async function whyNoAdapter(): Promise<string | undefined> {
  const graph = createGraph({ y: mul(input('x', [1]), 2) });
  try {
    await (await sharedEngine().compile(graph, new Map())).dispose();
    return undefined;
  } catch (error) {
    if (!(error instanceof EngineError) || error.trouble !== 'absent') throw error;
    await closeSharedEngine();
    return error.message;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}
