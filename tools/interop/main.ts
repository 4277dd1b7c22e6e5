import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createOnnxruntimeEngine } from '../../src/engine/onnxruntime.ts';
import { UserError } from '../../src/errors.ts';
import { toFloat32, type Tensor } from '../../src/graph/tensor.ts';
import { openSafetensors, readTensor, writeSafetensors } from '../../src/io/safetensors.ts';
import { loadSanaTransformer } from '../../src/models/load-sana-transformer.ts';
import { pythonOf, runPython } from '../python.ts';
import { writeAdapters } from './adapters.ts';
import { computeLycoris, writeComfyui, writeLycoris } from './formats.ts';

const usage = `Usage: npm run interop -- VENV... [--folder DIR]

Writes adapters of every kind, target, rank and dtype, and lets the Python of each VENV load them: every check_*.py of
tools/interop compares what its client computes with what is computed here. Exits 1 when one differs.
The first VENV also makes the model (make_model.py). --folder keeps the files. COMFYUI=DIR in the environment names a
checkout of ComfyUI, whose own code is then run; without one a reading of its rule stands in.`;

const here = path.dirname(fileURLToPath(import.meta.url));

/** Computes with each adapter what the clients are to compute, into expected.safetensors. */
async function writeExpected(out: string): Promise<void> {
  const { tensors } = await openSafetensors(path.join(out, 'inputs.safetensors'));
  const take = async (name: string): Promise<Tensor> => {
    const location = tensors.get(name);
    if (!location) throw new RangeError(`make_model.py wrote no ${name}`);
    return readTensor(location);
  };
  const engine = createOnnxruntimeEngine();
  try {
    const conditions = {
      promptEmbeds: await take('encoder_hidden_states'),
      promptAttentionMask: await take('encoder_attention_mask'),
      timesteps: [...toFloat32(await take('timestep'))],
    };
    const model = await loadSanaTransformer(path.join(out, 'transformer'));
    const folder = path.join(out, 'adapters');
    const outputs = await writeAdapters(engine, model, await take('hidden_states'), conditions, folder);
    const asLora = await writeLycoris(engine, model, await take('hidden_states'), conditions, out);
    await writeSafetensors(path.join(out, 'expected.safetensors'), new Map([...outputs, ...asLora]));
    await writeComfyui(engine, model, out);
    await computeLycoris(engine, model, await take('hidden_states'), conditions, out);
  } finally {
    await engine.close();
  }
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { folder: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help || positionals.length === 0) {
    console.log(usage);
    return values.help ? 0 : 1;
  }
  const pythons = await Promise.all(positionals.map(pythonOf));
  const [first = ''] = pythons;
  // TensorBoard's check reads a run, not adapters.
  const checks = (await readdir(here))
    .filter((file) => /^check_\w+\.py$/.test(file) && file !== 'check_tensorboard.py')
    .sort();
  const out = values.folder ?? (await mkdtemp(path.join(tmpdir(), 'sana-interop-')));
  try {
    await mkdir(path.join(out, 'adapters'), { recursive: true });
    if ((await runPython(first, [path.join(here, 'make_model.py'), out])) !== 0) {
      throw new UserError('make_model.py failed; its output is above.');
    }
    for (const python of pythons) await runPython(python, [path.join(here, 'make_lycoris.py'), out]);
    await writeExpected(out);
    let failed = 0;
    for (const python of pythons) {
      for (const check of checks) {
        if ((await runPython(python, [path.join(here, check), out])) !== 0) failed++;
      }
    }
    return failed > 0 ? 1 : 0;
  } finally {
    if (values.folder === undefined) await rm(out, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}
