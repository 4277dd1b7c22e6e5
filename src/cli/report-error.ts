import { CommanderError } from 'commander';
import { UserError } from '../errors.ts';

/** What a failed command writes to stderr, and the exit code it ends with. */
export interface ErrorReport {
  readonly text: string;
  readonly exitCode: number;
}

/** A user's mistake as its sentence alone; a bug as its stack, what ran where, and whom to tell. */
export function reportError(error: unknown, version: string): ErrorReport {
  // Commander has printed its message, or the help that was asked for, itself.
  if (error instanceof CommanderError) return { text: '', exitCode: error.exitCode };
  if (error instanceof UserError) return { text: `${error.message}\n`, exitCode: 1 };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const where = `sana-train ${version}, Node ${process.version}, ${process.platform} ${process.arch}`;
  return {
    text: `${stack}\n\nThis is a bug in sana-train and not your mistake. Please open an issue with the lines above and this one: ${where}.\n`,
    exitCode: 1,
  };
}
