import { setTimeout as sleep } from 'node:timers/promises';

import { HubStatus } from './hub-error.ts';

/** Settings of {@link hubFetch}. */
export interface HubFetchOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds to wait when the hub is busy. @default 1, 4 and 15 seconds */
  readonly busyDelays?: readonly number[];
}

/**
 * A fetch for @huggingface/hub, which keeps no headers of a refusal, though they say why: refusals are made HubStatus
 * here. Only of a file that is not there the library makes sense itself. A busy hub is asked again.
 */
export function hubFetch({ signal, busyDelays = [1000, 4000, 15_000] }: HubFetchOptions): typeof fetch {
  return async (url, init) => {
    for (let attempt = 0; ; attempt++) {
      const response = await fetch(url, { ...init, ...(signal && { signal }) });
      const missing = response.status === 404 && response.headers.get('X-Error-Code') === 'EntryNotFound';
      if (response.ok || missing) return response;
      const delay = busyDelays[attempt];
      const isBusy = response.status === 429 || response.status >= 500;
      await response.body?.cancel();
      if (!isBusy || delay === undefined) throw new HubStatus(response);
      await sleep(delay, undefined, { ...(signal && { signal }) });
    }
  };
}
