import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { reportError } from '../../../src/cli/report-error.ts';
import { UserError } from '../../../src/errors.ts';

describe('reportError', () => {
  it("prints a user's mistake as its sentence alone", () => {
    const report = reportError(new UserError('lora.rank is 0; use a whole number from 1.'), '1.2.3');
    expect(report).toEqual({ text: 'lora.rank is 0; use a whole number from 1.\n', exitCode: 1 });
  });

  it('prints a bug with its stack and what to do with it', () => {
    const { text, exitCode } = reportError(new TypeError('x is not iterable'), '1.2.3');
    expect(exitCode).toBe(1);
    expect(text).toMatch(/^TypeError: x is not iterable\n {4}at /);
    expect(text).toContain('open an issue');
    expect(text).toContain(`sana-train 1.2.3, Node ${process.version}`);
  });

  it('adds nothing to what Commander printed, and keeps its exit code', () => {
    expect(reportError(new CommanderError(0, 'commander.helpDisplayed', ''), '1.2.3')).toEqual({
      text: '',
      exitCode: 0,
    });
  });
});
