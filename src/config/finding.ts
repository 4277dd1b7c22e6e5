import type { Path } from './schema-node.ts';

/** What two options that are right alone get wrong together. */
export interface Finding {
  /** An error stops the run; a warning is shown. */
  readonly level: 'error' | 'warning';
  /** The option that the message is about, then others that it depends on. */
  readonly paths: readonly [Path, ...Path[]];
  readonly message: string;
}

/** Whether the config says an option, at a path as it is written, and something else than the default. */
export type IsGiven = (path: Path) => boolean;
