import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { TrainEvent } from '../../../src/events.ts';
import type { RunEstimate } from '../../../src/run/estimate.ts';
import {
  checkWritable,
  describeEstimate,
  judge,
  type Machine,
  preflight,
  thisMachine,
} from '../../../src/run/preflight.ts';

const estimate: RunEstimate = {
  memory: { captions: 1e9, pictures: 2e9, train: 4e9, sample: 0 },
  disk: { cache: 3e9, run: 1e9 },
  seconds: { captions: 20, pictures: 100, classPictures: 0, step: 3.3, train: 1650, samples: 0 },
};
const folders = { cache: '/cache', run: '/run' };

function machine(
  changes: Partial<Omit<Machine, 'disk'>> & { readonly free?: number; readonly ids?: string } = {},
): Machine {
  const { free = 100e9, ids = '11' } = changes;
  return {
    availableMemory: 10e9,
    memory: 16e9,
    disk: (folder) => Promise.resolve({ free, id: Number(ids[folder === '/cache' ? 0 : 1]) }),
    ...changes,
  };
}

describe('judge', () => {
  it('has nothing to say where all is enough', async () => {
    expect(await judge(estimate, folders, machine())).toEqual({ problems: [], warnings: [] });
  });

  it('refuses what does not fit on the disk, both folders taken together where it is one', async () => {
    const { problems } = await judge(estimate, folders, machine({ free: 3.5e9 }));
    expect(problems).toEqual([
      'The run writes about 4.0 GB to /cache and /run, and 3.5 GB are free there; free some space, choose another dataset.cache_dir or run_dir, or keep fewer checkpoints (train.checkpoints_total_limit).',
    ]);
    expect(await judge(estimate, folders, machine({ free: 3.5e9, ids: '12' }))).toEqual({ problems: [], warnings: [] });
    const { warnings } = await judge(estimate, folders, machine({ free: 4.1e9 }));
    expect(warnings).toEqual([
      'The run writes about 4.0 GB to /cache and /run, and no more than 4.1 GB are free there.',
    ]);
  });

  it('warns of memory, and says what takes less', async () => {
    const short = await judge(estimate, folders, machine({ availableMemory: 3e9 }));
    expect(short).toEqual({
      problems: [],
      warnings: [
        expect.stringMatching(
          /^Training takes about 4.0 GB of memory, and 3.0 GB are free; close other programs, or use train.gradient_checkpointing: true/,
        ),
      ],
    });
    const small = await judge(estimate, folders, machine({ availableMemory: 1e9, memory: 2e9 }));
    expect(small.warnings[0]).toMatch(/this machine has 2.0 GB: it will be very slow/);
  });
});

describe('describeEstimate', () => {
  it('says memory, disk and time, no more exactly than they are known', () => {
    expect(describeEstimate(estimate, 500)).toEqual([
      'memory about 4.0 GB',
      'disk about 4.0 GB',
      'time about 30 min (captions and pictures 2 min, 500 steps of 3.0 s)',
    ]);
  });
});

describe('preflight', () => {
  async function collect(free: number): Promise<readonly TrainEvent[]> {
    const events: TrainEvent[] = [];
    for await (const event of preflight(estimate, 500, folders, machine({ free, availableMemory: 1e9 })))
      events.push(event);
    return events;
  }

  it('tells the estimate and what may go wrong, and refuses what cannot work', async () => {
    expect((await collect(100e9)).map(({ kind }) => kind)).toEqual(['log', 'warning']);
    await expect(collect(1e9)).rejects.toThrow(/^The run writes about 4.0 GB/);
  });
});

describe('thisMachine', () => {
  it('has memory and a disk, also of a folder that is not there yet', async () => {
    const { memory, availableMemory, disk } = thisMachine();
    expect(availableMemory).toBeGreaterThan(1e6);
    expect(memory).toBeGreaterThanOrEqual(availableMemory);
    expect((await disk(join(tmpdir(), 'not', 'there'))).free).toBeGreaterThan(1e6);
  });
});

describe('checkWritable', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sana-train-preflight-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('lets folders pass that are there or can be made, and names what is in the way', async () => {
    await checkWritable([folder, join(folder, 'a', 'b')]);
    const file = join(folder, 'file');
    await writeFile(file, '');
    await expect(checkWritable([join(file, 'a')])).rejects.toThrow(
      `${join(file, 'a')} cannot be made, since ${file} is a file; choose another folder.`,
    );
  });
});
