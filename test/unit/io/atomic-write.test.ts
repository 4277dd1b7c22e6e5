import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeAtomically, writeJson, writeText } from '../../../src/io/atomic-write.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atomic-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('writeAtomically', () => {
  it('makes folders, replaces a file and leaves nothing else behind', async () => {
    const path = join(folder, 'a', 'b', 'x.txt');
    await writeText(path, 'one');
    await writeText(path, 'two ▁');
    expect(await readFile(path, 'utf8')).toBe('two ▁');
    expect(await readdir(join(folder, 'a', 'b'))).toEqual(['x.txt']);
  });

  it('keeps the old file, and removes the temporary one, when writing fails', async () => {
    const path = join(folder, 'x.txt');
    await writeText(path, 'old');
    const failing = writeAtomically(path, async (append) => {
      await append(new Uint8Array(10));
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    });
    await expect(failing).rejects.toThrow(`Could not write ${path}: the disk is full; free some space and try again.`);
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['x.txt']);
  });

  it('says so when the path is a folder', async () => {
    await mkdir(join(folder, 'taken', 'full'), { recursive: true });
    await expect(writeText(join(folder, 'taken'), 'x')).rejects.toThrow(`Could not write ${join(folder, 'taken')}`);
    expect(await readdir(folder)).toEqual(['taken']);
  });
});

describe('writeJson', () => {
  it('indents and ends with a newline', async () => {
    await writeJson(join(folder, 'x.json'), { a: [1] });
    expect(await readFile(join(folder, 'x.json'), 'utf8')).toBe('{\n  "a": [\n    1\n  ]\n}\n');
  });
});
