import { describe, expect, it } from 'vitest';
import { createProgressLine } from '../../../src/cli/progress-line.ts';

describe('createProgressLine', () => {
  it('writes over itself on a terminal, no wider than it', () => {
    const written: string[] = [];
    const line = createProgressLine({ isTTY: true, columns: 7, write: (text) => written.push(text) });
    line.clear();
    line.show('step 1 of 20');
    line.show('step 1 of 20');
    line.clear();
    expect(written).toEqual(['\r\u001b[Kstep 1', '\r\u001b[K']);
  });

  it('shows nothing where there is no terminal', () => {
    const written: string[] = [];
    const line = createProgressLine({ write: (text) => written.push(text) });
    line.show('step 1 of 20');
    line.clear();
    expect(written).toEqual([]);
  });
});
