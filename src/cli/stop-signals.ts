/** What a command that may take long does with Ctrl-C. */
export interface StopSignals {
  /** Aborted by the first Ctrl-C (or SIGTERM). */
  readonly signal: AbortSignal;
  /** Does what the signal does: a first time stops, a second time ends the process at once. */
  request(): void;
  /** Stops listening. */
  release(): void;
}

const names = ['SIGINT', 'SIGTERM'] as const;

/**
 * Takes over Ctrl-C (and SIGTERM) from the command line: the first one aborts `signal`, so that the command ends where
 * it loses nothing; a second one ends the process at once.
 *
 * At once, by the system's own handling of the signal, which a shell reports as 130: process.exit() waits for the
 * thread that computes, and ends with an abort when onnxruntime returns into it.
 * @param onStop called at the first
 */
export function listenForStop(onStop: () => void): StopSignals {
  const controller = new AbortController();
  function stop(name: NodeJS.Signals): void {
    if (controller.signal.aborted) {
      process.removeAllListeners(name);
      process.kill(process.pid, name);
      return;
    }
    controller.abort();
    onStop();
  }
  for (const name of names) process.removeAllListeners(name).on(name, stop);
  return {
    signal: controller.signal,
    request: () => stop('SIGINT'),
    release() {
      for (const name of names) process.off(name, stop);
    },
  };
}
