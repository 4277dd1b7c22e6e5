import { UserError } from '../errors.ts';

/** The error for a file that was read back and is not what was to be written. @param error relative */
export function differs(output: string, what: string, error: number): UserError {
  return new UserError(
    `${output} was not written: read back, ${what} was ${(100 * error).toPrecision(2)}% off; please report this as a bug.`,
  );
}
