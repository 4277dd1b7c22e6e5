import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { loadDatasets } from '../../datasets/load-datasets.ts';
import { writeCaptionsPage } from '../../src/caption/captions-page.ts';
import { executablePath, openPage } from './browser.ts';

describe.skipIf(executablePath === undefined)('captions.html in a browser', () => {
  let path = '';
  let browser: Browser;
  beforeAll(async () => {
    path = join(await mkdtemp(join(tmpdir(), 'captions-')), 'captions.html');
    const folder = join(import.meta.dirname, '../../examples/dog');
    const { examples, report } = await loadDatasets([{ folder, name: 'dog', resolutions: [256] }]);
    const scores = [21.5, 30.25, 9.75, 28, 100];
    await writeCaptionsPage(path, {
      title: 'Captions of the dog',
      pictures: examples.map((example, i) => ({
        example,
        captions: [
          { text: 'a dog', source: 'brief', score: scores[i] ?? 0, excess: 0 },
          { text: 'a very long caption '.repeat(60), source: 'a-captioner-of-a-long-name', score: 1, excess: 90 },
        ],
        failures: i === 0 ? [{ captioner: 'server', reason: 'It is down.', isLasting: true }] : [],
        isNew: true,
      })),
      choice: { selection: 'clip_score_power', clipThr: 25, temperature: 0.1 },
      minScore: 15,
      report,
    });
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await rm(join(path, '..'), { recursive: true, force: true });
  });

  it.each([
    [1280, 'dark'],
    [390, 'light'],
  ] as const)('at %d pixels, %s', async (width, colorScheme) => {
    const { page, faults, close } = await openPage(browser, path, { width, colorScheme });

    // A click on a head sorts by it, as numbers; another the other way round.
    const best = (): Promise<readonly string[]> => page.locator('#rows td.number[data-label]').allInnerTexts();
    const sorted = ['9.75', '21.50', '28.00', '30.25', '100.00'];
    await page.getByRole('button', { name: 'Best' }).click();
    expect((await best()).map((text) => text.replace('best', '').trim())).toEqual(sorted);
    await page.getByRole('button', { name: 'Best' }).press('Enter');
    expect((await best()).map((text) => text.replace('best', '').trim())).toEqual(sorted.toReversed());
    expect(await page.locator('th[aria-sort]').getAttribute('aria-sort')).toBe('descending');

    // Nothing sticks out, nothing is fetched, and everybody can use it.
    expect(await faults()).toEqual([]);
    await close();
  });
});
