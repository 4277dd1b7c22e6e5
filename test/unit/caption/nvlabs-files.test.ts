import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { createNvlabsReader, writeNvlabsFiles } from '../../../src/caption/nvlabs-files.ts';

describe('writeNvlabsFiles', () => {
  it("writes NVlabs' layout, and createNvlabsReader reads it", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nvlabs-'));
    const picture = join(folder, 'key.1.png');
    await writeNvlabsFiles(picture, [
      { text: 'a "fox"', source: 'VILA1-5-13B', score: 27.10371 },
      { text: 'a red fox', source: 'own' },
      { text: 'another fox', source: 'own' },
    ]);
    const read = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8')) as unknown;
    expect(await read('key.1_VILA1-5-13B.json')).toEqual({ 'key.1': { 'VILA1-5-13B': 'a "fox"' } });
    expect(await read('key.1_VILA1-5-13B_clip_score.json')).toEqual({ 'key.1': { 'VILA1-5-13B': '27.1037' } });
    await writeFile(join(folder, 'key.1_broken.json'), '{');
    expect(await createNvlabsReader()(picture)).toEqual([
      { text: 'a "fox"', source: 'VILA1-5-13B', score: 27.1037 },
      { text: 'another fox', source: 'own-2' },
      { text: 'a red fox', source: 'own' },
    ]);
    expect(await createNvlabsReader()(join(folder, 'other.png'))).toEqual([]);
  });
});
