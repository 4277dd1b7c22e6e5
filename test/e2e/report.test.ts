import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { executablePath, openPage } from './browser.ts';
import { runCommand } from './run-command.ts';
import { tinyRun, train } from './training.ts';

describe.skipIf(executablePath === undefined)('the report in a browser', () => {
  let folder = '';
  let browser: Browser;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'report-'));
    const config = await tinyRun(folder, { steps: 8 });
    for (const options of [
      { runDir: join(folder, 'one'), args: ['--set', 'sample.clip_model=clip-pico'] },
      { runDir: join(folder, 'two'), args: ['--set', 'lora.rank=4'] },
    ]) {
      const { exitCode, stderr } = await train(config, options);
      if (exitCode !== 0) throw new Error(stderr);
    }
    await runCommand(['report', join(folder, 'one'), join(folder, 'two')]);
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['report.html', 1280, 'light'],
    ['report.html', 390, 'dark'],
    ['comparison.html', 1280, 'dark'],
    ['comparison.html', 390, 'light'],
  ] as const)('%s at %d pixels, %s', async (name, width, colorScheme) => {
    const { page, faults, close } = await openPage(browser, join(folder, 'one', name), { width, colorScheme });

    // A click in the middle of the first prompt's slider: steps 0, 4 and 8.
    const slider = page.locator('[data-steps]').first();
    const shown = page.locator('.prompt').first().locator('img:visible');
    const steps = async (): Promise<readonly (string | null)[]> =>
      Promise.all((await shown.all()).map((picture) => picture.getAttribute('data-step')));
    const runs = name === 'report.html' ? 1 : 2;
    expect(await steps()).toEqual(Array.from({ length: runs }, () => '8'));
    await slider.click();
    expect(await steps()).toEqual(Array.from({ length: runs }, () => '4'));
    expect(await slider.getAttribute('aria-valuetext')).toMatch(/^step 4, .*CLIP-I -?0\.\d\d · CLIP-T -?0\.\d\d/);
    await page.keyboard.press('ArrowLeft');
    expect(await steps()).toEqual(Array.from({ length: runs }, () => '0'));
    expect(await shown.first().getAttribute('alt')).toContain('a photo of sks dog');

    // The pointer over the loss curve reads its values.
    await page
      .locator('.plot svg', { has: page.locator('.line.faint') })
      .first()
      .hover({ position: { x: 1, y: 20 } });
    const loss = page.locator('[data-chart]', { has: page.locator('h3', { hasText: /^Loss$/ }) });
    expect(await loss.locator('.legend').innerText()).toMatch(/smoothed \d/);
    expect(await loss.locator('.value').innerText()).toBe('step 1');
    // So does its slider, by key.
    await loss.locator('input').press('ArrowRight');
    expect(await loss.locator('.value').innerText()).toBe('step 2');
    expect(await loss.locator('input').getAttribute('aria-valuetext')).toMatch(/^step 2: .*smoothed \d/);

    // Nothing sticks out, nothing is fetched, and everybody can use it.
    expect(await faults()).toEqual([]);
    await close();
  });
});
