import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Engine } from '../../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../../src/engine/onnxruntime.ts';
import { createTfjsEngine } from '../../src/engine/tfjs.ts';
import { UserError } from '../../src/errors.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { type CaseEntry, readCases, readTensors } from './cases.ts';
import { compareTensors } from './compare.ts';
import { run } from './kinds/lora-train.ts';
import { closeSharedEngine, useEngine } from './pipeline.ts';

const usage = `Usage: npm run test:tfjs-node -- [DIR] [--cases DIR]... [--package NAME]

Trains the same adapters through @tensorflow/tfjs-node and through onnxruntime and compares losses, gradient norms and
what was learned, to 1e-3. The package is looked for here, or in DIR/node_modules. Where it is not installed it says so
and exits with 0.`;

const TOLERANCE = 1e-3;
const goldens = ['plain', 'affine'].map((variant) => path.join('test', 'parity', 'goldens', variant));

/** The address of a package that is installed here or in another folder; undefined where it is not. */
function findPackage(name: string, folder: string): string | undefined {
  try {
    return pathToFileURL(createRequire(path.resolve(folder, 'index.js')).resolve(name)).href;
  } catch {
    return undefined;
  }
}

async function train(folder: string, entry: CaseEntry, create: () => Engine): Promise<ReadonlyMap<string, Tensor>> {
  const inputs = entry.inputs === undefined ? new Map<string, Tensor>() : await readTensors(folder, entry.inputs);
  useEngine(create);
  try {
    return await run({ ...entry, inputs, folder, expectedNames: [] });
  } finally {
    await closeSharedEngine();
  }
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      cases: { type: 'string', multiple: true },
      package: { type: 'string', default: '@tensorflow/tfjs-node' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const [where = '.'] = positionals;
  const found = findPackage(values.package, where);
  if (found === undefined) {
    console.log(`Skipped: ${values.package} is not installed in ${path.resolve(where)}; docs/engines.md says how.`);
    return 0;
  }
  let failed = 0;
  for (const folder of (values.cases ?? goldens).map((name) => path.resolve(name))) {
    console.log(path.relative('.', folder));
    for (const entry of (await readCases(folder)).filter(({ kind }) => kind === 'lora_train')) {
      const expected = await train(folder, entry, createOnnxruntimeEngine);
      const start = performance.now();
      const got = await train(folder, entry, () => createTfjsEngine({ packages: [found] }));
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      const { error, detail } = compareTensors(got, expected, TOLERANCE);
      const isPass = error <= 1; // false for NaN
      if (!isPass) failed++;
      const verdict = isPass ? 'pass' : 'FAIL';
      console.log(`  ${entry.name.padEnd(36)}  ${error.toPrecision(3)} of 1e-3  ${verdict}  ${seconds} s  ${detail}`);
    }
  }
  return failed > 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}
