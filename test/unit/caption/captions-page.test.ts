import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { loadDatasets } from '../../../datasets/load-datasets.ts';
import { writeCaptionsPage } from '../../../src/caption/captions-page.ts';

describe('writeCaptionsPage', () => {
  it('shows each picture with captions, scores and shares, in one file, and lets no text out of its place', async () => {
    const folder = join(import.meta.dirname, '../metrics/goldens');
    const { examples, report } = await loadDatasets([
      { folder, name: 'set', resolutions: [64], files: ['*.png'], minSide: 40 },
    ]);
    const [example] = examples;
    if (example === undefined) throw new Error('no example');
    const path = join(await mkdtemp(join(tmpdir(), 'page-')), 'sub', 'captions.html');
    await writeCaptionsPage(path, {
      title: 'Captions of <dog>',
      pictures: [
        {
          example,
          captions: [
            { text: 'a <script>alert(1)</script> fox', source: 'brief', score: 30, excess: 0 },
            { text: 'a dog', source: 'detailed', score: 20.126, excess: 5 },
          ],
          failures: [{ captioner: 'server', reason: 'It is "down".', isLasting: true }],
          isNew: true,
        },
      ],
      choice: { selection: 'clip_score_power', clipThr: 25, temperature: 0.1 },
      minScore: 40,
      report,
      window: {
        tokenizer: { encode: (text) => Array.from(text, (_, i) => i), bosId: 0, padId: 0 },
        chi: null,
        maxSequenceLength: 20,
      },
    });
    const page = await readFile(path, 'utf8');
    expect(page).toContain('Captions of &lt;dog&gt;');
    expect(page).toContain('a &lt;script&gt;alert(1)&lt;/script&gt; fox');
    expect(page.match(/<script>/g)).toHaveLength(1);
    expect(page).toMatch(/30\.00<\/span><span[^>]*>100%.*20\.13<\/span><span[^>]*>0%/s);
    expect(page).toContain('5 tokens more than CLIP reads at once');
    expect(page).toContain('server: It is &quot;down&quot;.');
    expect(page).toMatch(/src="data:image\/webp;base64,/);
    expect(page).not.toMatch(/(?:src|href)="(?!data:|#)/);
    // noise.png is 29 pixels wide.
    expect(page).toMatch(/Not used.*set\/noise\.png/s);
    // The page is a report of the data set too.
    expect(page).toMatch(/64: 64 x 96.*smallest 97 x 61 \(waves\.png\).*largest 97 x 61/s);
    expect(page).not.toContain('Its caption is missing');
    expect(page).toMatch(/1 without some caption.*Too long for the model, which sees 20 tokens: 1 of 2/s);
    expect(page).toMatch(/href="#p0">set\/waves\.png<\/a>: 11 tokens too long \(brief\)/);
    expect(page).toContain('11 tokens more than the model sees');
    expect(page).toContain('<tr\n    id="p0"');
  });
});
