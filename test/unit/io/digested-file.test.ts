import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { tensor } from '../../../src/graph/tensor.ts';
import { digestedFile } from '../../../src/io/digested-file.ts';
import { type LazyTensor, readTensor } from '../../../src/io/safetensors.ts';

const folder = await mkdtemp(join(tmpdir(), 'sana-digested-'));
afterAll(() => rm(folder, { recursive: true }));

const file = join(folder, 'made.safetensors');
let made: string[] = [];

function lazy(name: string, values: readonly number[]): readonly [string, LazyTensor] {
  const read = (): Promise<ReturnType<typeof tensor>> => {
    made.push(name);
    return Promise.resolve(tensor('uint8', [values.length], Uint8Array.from(values)));
  };
  return [name, { dtype: 'uint8', shape: [values.length], read }];
}

const tensors = new Map([lazy('zebra', [1, 2, 3]), lazy('ant', [4])]);

/** The file's tensors, and which of them were made for it. */
async function openFile(
  change: Partial<Parameters<typeof digestedFile>[0]> = {},
): Promise<{ readonly values: Readonly<Record<string, readonly number[]>>; readonly made: readonly string[] }> {
  made = [];
  const located = await digestedFile({ file, metadata: { of: 'a' }, tensors, ...change });
  const values: Record<string, readonly number[]> = {};
  for (const [name, location] of located) values[name] = [...(await readTensor(location)).data].map(Number);
  return { values, made };
}

describe('digestedFile', () => {
  it('makes tensors once', async () => {
    const values = { ant: [4], zebra: [1, 2, 3] };
    expect(await openFile()).toEqual({ values, made: ['ant', 'zebra'] });
    expect(await openFile()).toEqual({ values, made: [] });
  });

  it('makes them again when the file is of something else', async () => {
    await openFile();
    expect((await openFile({ metadata: { of: 'b' } })).made).toHaveLength(2);
    const others = new Map([...tensors, lazy('cat', [5])]);
    expect((await openFile({ metadata: { of: 'b' }, tensors: others })).values.cat).toEqual([5]);
    const longer = new Map([...others, lazy('cat', [5, 6])]);
    expect((await openFile({ metadata: { of: 'b' }, tensors: longer })).values.cat).toEqual([5, 6]);
  });

  it('makes them again when a byte has changed', async () => {
    await openFile();
    const { size } = await stat(file);
    const handle = await open(file, 'r+');
    await handle.write(Uint8Array.of(99), 0, 1, size - 33); // the last before the digest
    await handle.close();
    const { values, made: names } = await openFile();
    expect(names).toHaveLength(2);
    expect(values.zebra).toEqual([1, 2, 3]);
  });

  it('makes them again when the file is cut or is none', async () => {
    await openFile();
    for (const length of [0, 50]) {
      const handle = await open(file, 'r+');
      await handle.truncate(length);
      await handle.close();
      expect((await openFile()).made).toHaveLength(2);
    }
  });

  it('stops when told to, and leaves no file', async () => {
    await rm(file, { force: true });
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(openFile({ signal })).rejects.toThrow('stopped');
    await expect(stat(file)).rejects.toThrow('ENOENT');
  });
});
