import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import type * as Fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { float32 } from '../../../src/graph/tensor.ts';
import { adaptedModules, type AdapterConfig, parameterName } from '../../../src/lora/adapter-config.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { readAnyAdapter } from '../../../src/lora/formats/read-any-adapter.ts';
import { temporaryPath } from '../../../src/io/temporary-path.ts';
import { createOptimizer } from '../../../src/optim/create-optimizer.ts';
import { listCheckpoints, loadCheckpoint, saveCheckpoint } from '../../../src/run/checkpoint.ts';
import { createRandom } from '../../../src/random.ts';
import { initialState, type TrainState } from '../../../src/run/train-state.ts';
import { asTrained } from '../../small-transformer.ts';

const disk = vi.hoisted(() => ({ code: '' }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const fs = await importOriginal<typeof Fs>();
  // A disk that takes the file's name and no byte of it, as a full one does.
  const open: typeof fs.open = async (...args) => {
    const handle = await fs.open(...args);
    const flags = args[1];
    if (disk.code !== '' && flags !== undefined && flags !== 'r') {
      handle.write = () => Promise.reject(Object.assign(new Error(disk.code), { code: disk.code }));
    }
    return handle;
  };
  return { ...fs, open };
});

const config: AdapterConfig = {
  type: 'lora',
  rank: 1,
  alpha: 1,
  rankPattern: {},
  alphaPattern: {},
  targetModules: ['to_q'],
  rslora: false,
  dropout: 0,
};
const modules = adaptedModules(
  new Map([['transformer_blocks.0.attn1.to_q', { inFeatures: 3, outFeatures: 2, bias: true }]]),
  config,
);
const optimizer = createOptimizer({ name: 'adamw' });
const settings = { base: 'a', adapter: 'b', optimizer: 'adamw' };
let runDir = '';

function stateAt(step: number): TrainState {
  const parameters = new Map(
    [...modules].flatMap(([name]) => [
      [parameterName(name, 'lora_A'), float32([1, 3], [step, 2, 3])] as const,
      [parameterName(name, 'lora_B'), float32([2, 1], [4, 5])] as const,
    ]),
  );
  const state = initialState(parameters, optimizer, { average: true });
  state.step = step;
  return state;
}

beforeEach(async () => {
  runDir = await mkdtemp(join(tmpdir(), 'sana-train-checkpoint-'));
});

afterEach(async () => {
  disk.code = '';
  await rm(runDir, { recursive: true, force: true });
});

function save(step: number, limit: number | null = null): Promise<string> {
  return saveCheckpoint(runDir, { modules, rslora: false, state: stateAt(step), settings }, limit);
}

describe('saveCheckpoint', () => {
  it('keeps the newest, and gives back what was saved', async () => {
    for (const step of [1, 2, 3]) await save(step, 2);
    expect((await listCheckpoints(runDir)).map(({ step }) => step)).toEqual([2, 3]);
    const [, newest] = await listCheckpoints(runDir);
    expect(await loadCheckpoint(newest?.path ?? '', { modules, optimizer, settings })).toEqual(stateAt(3));
  });

  it.each(['lokr', 'loha'] as const)('keeps every bit of a %s, in a file that is read as one', async (type) => {
    const known = new Map([['transformer_blocks.0.attn1.to_q', { inFeatures: 12, outFeatures: 20, bias: true }]]);
    const own = adaptedModules(known, { ...config, type, rank: 1, alpha: 0.3 });
    const start = await createAdapter(own, new Map(), createRandom(1));
    const state = initialState(asTrained(start, createRandom(2)), optimizer, { average: true });
    const path = await saveCheckpoint(runDir, { modules: own, rslora: false, state, settings }, null);
    expect(await loadCheckpoint(path, { modules: own, optimizer, settings })).toEqual(state);
    const file = await readAnyAdapter(join(path, 'pytorch_lora_weights.safetensors'), known);
    expect(file.kinds).toEqual([type]);
    expect(file.modules.get('transformer_blocks.0.attn1.to_q')?.scale).toBeCloseTo(0.3, 6);
  });

  it.each([
    ['ENOSPC', 'the disk is full'],
    ['EROFS', 'the file system is read-only'],
    ['EACCES', 'this user has no permission'],
    ['EIO', 'the disk reports an input/output error'],
  ])('keeps the last one whole on %s, leaves nothing half written, and says so', async (code, reason) => {
    await save(1);
    disk.code = code;
    await expect(save(2)).rejects.toThrow(
      new RegExp(`Could not write the checkpoint .*step-2: ${reason}.*The checkpoint of step 1 is whole`),
    );
    disk.code = '';
    expect(await readdir(join(runDir, 'checkpoints'))).toEqual(['step-1']);
    const [kept] = await listCheckpoints(runDir);
    expect(await loadCheckpoint(kept?.path ?? '', { modules, optimizer, settings })).toEqual(stateAt(1));
  });

  it('says when there is none to go on from', async () => {
    disk.code = 'ENOSPC';
    await expect(save(2)).rejects.toThrow(/There is no checkpoint before it/);
  });

  it('says when a file stands in its way', async () => {
    await writeFile(join(runDir, 'checkpoints'), '');
    await expect(save(1)).rejects.toThrow(/Could not write the checkpoint .*step-1: /);
  });
});

describe('loadCheckpoint', () => {
  it.each([
    [{ base: 'x' }, /trained on another base model/],
    [{ adapter: 'x' }, /its adapter has other layers, ranks or scales/],
    [{ optimizer: 'lion' }, /its optimizer is "adamw", and the config says "lion"/],
  ])('refuses a checkpoint that does not fit: %j', async (other, sentence) => {
    const path = await save(1);
    await expect(loadCheckpoint(path, { modules, optimizer, settings: { ...settings, ...other } })).rejects.toThrow(
      sentence,
    );
  });

  it('does not take for whole what a crash left, and removes it with the next one', async () => {
    const left = temporaryPath(join(runDir, 'checkpoints', 'step-7')).replace(`-${process.pid}-`, '-999999999-');
    await mkdir(left, { recursive: true });
    await writeFile(join(left, 'state.json'), '{');
    expect(await listCheckpoints(runDir)).toEqual([]);
    await save(8);
    expect(await readdir(join(runDir, 'checkpoints'))).toEqual(['step-8']);
  });
});
