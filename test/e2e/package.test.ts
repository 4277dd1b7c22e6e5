import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

describe('the package', () => {
  it('is imported by its name, and exports functions and errors alone', () => {
    const program = `
      const exports = await import('sana-train');
      console.log(JSON.stringify(Object.entries(exports).map(([name, value]) => [name, typeof value])));`;
    // Node itself, so that what is imported is the built package by its manifest and not the sources.
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      encoding: 'utf8',
    });
    const names = new Map(JSON.parse(output) as [string, string][]);
    expect([...names.keys()]).toEqual(
      expect.arrayContaining(['UserError', 'openPipeline', 'samplePipeline', 'trainLora']),
    );
    expect(new Set(names.values())).toEqual(new Set(['function']));
  });
});
