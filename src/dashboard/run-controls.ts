/** What a person may want of a run that is under way. */
export interface RunControls {
  /** Makes the pictures after this step. */
  sample(): void;
  /** Makes a picture of a text after this step. */
  prompt(text: string): void;
  /** Saves a checkpoint after this step. */
  checkpoint(): void;
  pause(on: boolean): void;
  /** Ends the run after this step, saved. */
  stop(): void;
  /** Ends the process at once; on a run of another process, the dashboard alone. */
  leave(): void;
  /** Whether the run is this process's: then `q` stops it, and else it leaves it alone. */
  readonly isOwn: boolean;
}
