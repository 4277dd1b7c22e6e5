import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pictureNames, prepareOutput } from '../../../src/cli/picture-names.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-names-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('pictureNames', () => {
  it('counts on from what is in the folder, and writes nothing over', () => {
    const output = {
      kind: 'folder',
      path: 'out',
      existing: ['0001-a-cat.png', '0012-a-dog.png', 'notes-99.txt'],
    } as const;
    expect(pictureNames(output, ['A photo of "sks" dog!', '日本語', ''])).toEqual([
      join('out', '0013-a-photo-of-sks-dog.png'),
      join('out', '0014-日本語.png'),
      join('out', '0015-picture.png'),
    ]);
  });

  it('shortens long prompts', () => {
    const [name = ''] = pictureNames({ kind: 'folder', path: 'out', existing: [] }, ['very long '.repeat(20)]);
    expect(name).toBe(join('out', '0001-very-long-very-long-very-long-very-long.png'));
  });
});

describe('prepareOutput', () => {
  it('makes the folder, for a file too', async () => {
    expect(await prepareOutput(join(folder, 'new', 'dog.png'), 1)).toEqual({
      kind: 'file',
      path: join(folder, 'new', 'dog.png'),
    });
    await writeFile(join(folder, 'new', 'a.png'), '');
    expect(await prepareOutput(join(folder, 'new'), 3)).toEqual({
      kind: 'folder',
      path: join(folder, 'new'),
      existing: ['a.png'],
    });
  });

  it('refuses one file for several pictures, and other kinds of files', async () => {
    await expect(prepareOutput('dog.png', 2)).rejects.toThrow(
      '--out is dog.png, one file, and there are 2 pictures; name a folder.',
    );
    await expect(prepareOutput('dog.jpg', 1)).rejects.toThrow('--out is dog.jpg; name a .png file, or a folder.');
  });

  it('says that a folder cannot be made', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(prepareOutput(join(folder, 'file', 'sub'), 1)).rejects.toThrow(/^Could not write to .*; /);
  });
});
