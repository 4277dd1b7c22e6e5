import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { removeLeftovers, temporaryPath } from '../../../src/io/temporary-path.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-temporary-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const yesterday = new Date(Date.now() - 25 * 3600 * 1000);

/** The name that a process which is gone, here or on another machine, gave to what it wrote. */
function leftBy(path: string, machine?: string): string {
  const gone = temporaryPath(path).replace(`-${process.pid}-`, '-999999999-');
  return machine === undefined ? gone : gone.replace(/[0-9a-f]{8}(?=-999999999-)/, machine);
}

describe('temporaryPath', () => {
  it('is hidden, in the same folder, and another each time', () => {
    const path = join(folder, 'model.safetensors');
    const [a, b] = [temporaryPath(path), temporaryPath(path)];
    expect(dirname(a)).toBe(folder);
    expect(basename(a)).toMatch(/^\.model\.safetensors\..*\.tmp$/);
    expect(a).not.toBe(b);
  });
});

describe('removeLeftovers', () => {
  it('removes files and folders of processes that are gone, and nothing else', async () => {
    const mine = temporaryPath(join(folder, 'mine'));
    const others = ['.notes.tmp', 'plain.tmp', '.x.1234.tmp', 'picture.png'].map((name) => join(folder, name));
    for (const path of [mine, ...others, leftBy(join(folder, 'a.png'))]) await writeFile(path, 'x');
    await mkdir(join(leftBy(join(folder, 'merged')), 'vae'), { recursive: true });
    await removeLeftovers(folder);
    expect((await readdir(folder)).sort()).toEqual([mine, ...others].map((path) => basename(path)).sort());
  });

  it('gives other machines a day', async () => {
    const [fresh, old] = [leftBy(join(folder, 'fresh'), 'a'.repeat(8)), leftBy(join(folder, 'old'), 'b'.repeat(8))];
    for (const path of [fresh, old]) await writeFile(path, 'x');
    await utimes(old, yesterday, yesterday);
    await removeLeftovers(folder);
    expect(await readdir(folder)).toEqual([basename(fresh)]);
  });

  it('looks into folders where it is told to, and never behind links', async () => {
    const elsewhere = join(folder, 'elsewhere');
    const run = join(folder, 'run');
    await mkdir(elsewhere);
    await mkdir(join(run, 'adapter'), { recursive: true });
    await symlink(elsewhere, join(run, 'link'), 'junction');
    const kept = leftBy(join(elsewhere, 'x'));
    for (const path of [kept, leftBy(join(run, 'adapter', 'x'))]) await writeFile(path, 'x');
    await removeLeftovers(run, '**/.*.tmp');
    expect(await readdir(join(run, 'adapter'))).toEqual([]);
    expect(await readdir(elsewhere)).toEqual([basename(kept)]);
    await removeLeftovers(join(folder, 'missing'));
  });
});
