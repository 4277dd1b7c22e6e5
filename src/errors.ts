/**
 * A mistake that the user can mend: a sentence that says what is wrong, with the value, and what to do.
 * The command line prints its message alone and exits 1; any other error is a bug and prints its stack.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
}
