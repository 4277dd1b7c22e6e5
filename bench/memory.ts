import { readFile } from 'node:fs/promises';

/** Memory of this process at its worst since the watch began, in MiB; null where the system does not tell. */
export interface PeakMemory {
  /** Resident, mapped files included. */
  readonly residentMiB: number | null;
  /** Resident and no mapped file: what the machine must have beside its cache of files. */
  readonly anonymousMiB: number | null;
}

/** Samples memory every 50 ms, which costs next to nothing; Linux alone tells. @returns ends the watch */
export function watchMemory(): () => Promise<PeakMemory> {
  const peak = { VmRSS: Number.NaN, RssAnon: Number.NaN };
  async function sample(): Promise<void> {
    let text = '';
    try {
      text = await readFile('/proc/self/status', 'utf8');
    } catch {
      return;
    }
    for (const name of ['VmRSS', 'RssAnon'] as const) {
      const kiB = Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]);
      if (!(kiB <= peak[name])) peak[name] = kiB;
    }
  }
  let pending = sample();
  const timer = setInterval(() => {
    pending = pending.then(sample);
  }, 50);
  return async () => {
    clearInterval(timer);
    await pending;
    await sample();
    const [residentMiB = null, anonymousMiB = null] = [peak.VmRSS, peak.RssAnon].map((kiB) =>
      Number.isNaN(kiB) ? null : Math.round(kiB / 1024),
    );
    return { residentMiB, anonymousMiB };
  };
}
