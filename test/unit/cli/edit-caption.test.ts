import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { loadDatasets } from '../../../datasets/load-datasets.ts';
import type { CaptionedPicture } from '../../../src/caption/caption-pictures.ts';
import { editCaption } from '../../../src/cli/edit-caption.ts';

async function setUp(): Promise<{ readonly folder: string; readonly pictures: readonly CaptionedPicture[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'edit-'));
  const goldens = join(import.meta.dirname, '../metrics/goldens');
  const { examples } = await loadDatasets([
    { folder: goldens, name: 'set', resolutions: [64], files: ['waves.png'], minSide: 8 },
  ]);
  const captions = [
    { text: 'worse', source: 'a', score: 20, excess: 0 },
    { text: 'better', source: 'b', score: 30, excess: 0 },
  ];
  return { folder, pictures: examples.map((example) => ({ example, captions, failures: [], isNew: false })) };
}

/** An editor that writes `text`, or one that changes nothing. */
async function editor(folder: string, text?: string): Promise<{ readonly EDITOR: string }> {
  const script = join(folder, 'editor.cjs');
  const write = text === undefined ? '' : `require('fs').writeFileSync(process.argv[2], ${JSON.stringify(text)});`;
  await writeFile(script, write);
  return { EDITOR: `"${process.execPath}" "${script}"` };
}

describe('editCaption', () => {
  it('keeps what was written in place of the best caption', async () => {
    const { folder, pictures } = await setUp();
    const file = join(folder, 'captions.jsonl');
    expect(await editCaption('waves.png', pictures, file, await editor(folder, 'by\nhand\n'))).toBe(true);
    const line: unknown = JSON.parse(await readFile(file, 'utf8'));
    expect(line).toMatchObject({ picture: 'set/waves.png', captioner: 'b', text: 'by hand', edited: true });
  });

  it('keeps what was written in place of the words of a captioner that is named', async () => {
    const { folder, pictures } = await setUp();
    const file = join(folder, 'captions.jsonl');
    expect(await editCaption('waves.png:a', pictures, file, await editor(folder, 'mine'))).toBe(true);
    const line: unknown = JSON.parse(await readFile(file, 'utf8'));
    expect(line).toMatchObject({ captioner: 'a', text: 'mine', edited: true });
    await expect(editCaption('waves.png:c', pictures, file)).rejects.toThrow(
      'waves.png has no caption by c; it has some by a, b.',
    );
  });

  it('changes nothing where nothing was changed, and refuses an empty caption and an editor that fails', async () => {
    const { folder, pictures } = await setUp();
    const file = join(folder, 'captions.jsonl');
    expect(await editCaption('set/waves.png', pictures, file, await editor(folder))).toBe(false);
    await expect(editCaption('waves.png', pictures, file, await editor(folder, '\n'))).rejects.toThrow(/empty/);
    await expect(editCaption('waves.png', pictures, file, { EDITOR: 'exit 3;' })).rejects.toThrow(/code 3/);
    await expect(readFile(file, 'utf8')).rejects.toThrow(/ENOENT/);
  });

  it('names pictures where there is none of that name', async () => {
    const { folder, pictures } = await setUp();
    await expect(editCaption('wave.png', pictures, join(folder, 'x'))).rejects.toThrow(
      'No picture is called wave.png; name one such as set/waves.png.',
    );
  });
});
