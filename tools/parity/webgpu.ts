import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { EngineError } from '../../src/engine/engine-error.ts';
import { createOnnxruntimeEngine } from '../../src/engine/onnxruntime.ts';
import { UserError } from '../../src/errors.ts';
import { createGraph } from '../../src/graph/graph.ts';
import { mul } from '../../src/graph/ops/elementwise.ts';
import { input } from '../../src/graph/value.ts';
import { runFolders } from './run-folders.ts';
import { closeSharedEngine, sharedEngine, useEngine } from './pipeline.ts';

const usage = `Usage: npm run test:webgpu -- [DIR]... [--only KIND]...

Runs the models' cases, of test/parity/goldens or of folders that make_cases.py wrote, through onnxruntime's WebGPU
provider, with no op on the CPU. Without a GPU it takes Debian's software adapter, from libvulkan1 and chromium. Where
there is no adapter at all it says so and exits with 0.`;

const modelKinds = ['transformer', 'lora_grad', 'lora_train', 'dcae_encode', 'dcae_decode', 'text_encode'];
const goldens = ['plain', 'affine'].map((variant) => path.join('test', 'parity', 'goldens', variant));
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Lets the Vulkan loader find SwiftShader where it would find nothing: chromium does not register it. */
function offerSoftwareAdapter(): void {
  const named = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  const folders = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];
  const drivers = folders.flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []));
  if (named === undefined && drivers.length === 0 && existsSync(SWIFTSHADER))
    process.env.VK_ICD_FILENAMES = SWIFTSHADER;
}

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
  offerSoftwareAdapter();
  useEngine(() => createOnnxruntimeEngine({ provider: 'webgpu', cpuFallback: false }));
  const missing = await whyNoAdapter();
  if (missing !== undefined) {
    console.log(`Skipped: ${missing}`);
    return 0;
  }
  return runFolders(positionals.length > 0 ? positionals : goldens, values.only ?? modelKinds);
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
