import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCases } from '../../tools/parity/cases.ts';
import { createKinds, runCase } from '../../tools/parity/run-case.ts';

// Written by tools/goldens/parity_cases.py with diffusers, transformers and peft.
const folders = ['plain', 'affine'].map((variant) => path.join(import.meta.dirname, 'goldens', variant));

const kinds = await createKinds();
afterAll(() => kinds.dispose());

for (const folder of folders) {
  describe(`the reference's ${path.basename(folder)} model`, async () => {
    const cases = await readCases(folder);
    it.each(cases.map((entry) => ({ entry, name: entry.name })))('$name', { timeout: 60_000 }, async ({ entry }) => {
      const { error, detail } = await runCase(folder, entry, kinds);
      expect(error, `${detail}: error in units of the tolerance`).toBeLessThanOrEqual(1);
    });
  });
}
