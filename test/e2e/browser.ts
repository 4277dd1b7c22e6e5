import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';

/** The browser that pages are looked at with: the one that CHROMIUM names, or one that is installed. */
export const executablePath = [
  process.env['CHROMIUM'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => path !== '' && existsSync(path));

/** A page of ours in a window. */
export interface OpenPage {
  readonly page: Page;
  /** What is wrong with it: what sticks out, what was fetched, what failed, and what axe finds that some cannot use. */
  readonly faults: () => Promise<readonly unknown[]>;
  readonly close: () => Promise<void>;
}

/** Opens a file of HTML. @param width of the window in pixels */
export async function openPage(
  browser: Browser,
  path: string,
  { width, colorScheme }: { readonly width: number; readonly colorScheme: 'light' | 'dark' },
): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  const faults: unknown[] = [];
  page.on('request', (request) => {
    if (!/^(file|data):/.test(request.url())) faults.push(`asks for ${request.url()}`);
  });
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(pathToFileURL(path).href);
  return {
    page,
    async faults() {
      const excess = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      if (excess !== 0) faults.push(`${String(excess)} pixels too wide`);
      await page.evaluate(axe.source);
      const violations: readonly unknown[] = await page.evaluate(
        'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html]))',
      );
      return [...faults, ...violations];
    },
    close: () => context.close(),
  };
}
