import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { UserError } from '../errors.ts';
import { fileError } from '../io/file-error.ts';
import { isUnreachable } from './hub-error.ts';

/** What a file has to be once it is here. */
export interface BlobSource {
  /** What messages call it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 for a large file (Git LFS); for a small one SHA-1 as Git makes it, over a header and the content. */
  readonly digest: string;
  /** The bytes from a position on. */
  readonly read: (from: number) => Promise<AsyncIterable<Uint8Array>>;
}

/** Settings of {@link downloadBlob}. */
export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds to wait after a broken connection, each time one brings nothing. @default 1 to 16 seconds, five times */
  readonly retryDelays?: readonly number[];
}

const patience: readonly number[] = [1000, 2000, 4000, 8000, 16_000];

/** The server sent the whole file where its end was asked for. */
export class RangeIgnored extends Error {
  override readonly name = 'RangeIgnored';
}

/**
 * Downloads a file to `path`, which appears when it is whole and right. What a broken download left, `path.incomplete`,
 * is gone on with. Yields how many bytes are there.
 *
 * Two processes may do it at once: each writes the same bytes to the same places.
 *
 * @throws UserError when it arrives damaged twice, or cannot be written
 */
export async function* downloadBlob(
  source: BlobSource,
  path: string,
  options: DownloadOptions = {},
): AsyncGenerator<number> {
  const incomplete = `${path}.incomplete`;
  try {
    await mkdir(dirname(path), { recursive: true });
    for (let attempt = 1; ; attempt++) {
      // Not O_TRUNC: what is there is gone on with.
      const handle = await open(incomplete, constants.O_RDWR | constants.O_CREAT, 0o644);
      let digest: string;
      try {
        digest = yield* fill(handle, source, options);
        await handle.sync();
      } finally {
        await handle.close();
      }
      if (digest === source.digest) break;
      await rm(incomplete, { force: true });
      if (attempt === 2) {
        throw new UserError(
          `${source.name} arrived damaged twice (its checksum is ${digest} and not ${source.digest}); try again later, and check proxies between here and the hub.`,
        );
      }
    }
    await rename(incomplete, path).catch(async (error: unknown) => {
      // Another process was quicker.
      if (!(await stat(path).catch(() => undefined))) throw error;
    });
  } catch (error) {
    throw fileError(error, 'write', incomplete);
  }
}

/** Writes what a file lacks, however often the connection breaks, and gives the digest of all of it. */
async function* fill(
  handle: FileHandle,
  { size, digest, read }: BlobSource,
  { signal, retryDelays = patience }: DownloadOptions,
): AsyncGenerator<number, string> {
  const isSha256 = digest.length === 64;
  const start = (): Hash => (isSha256 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`));
  let hash = start();
  let position = 0;
  const restart = async (): Promise<void> => {
    await handle.truncate(0);
    hash = start();
    position = 0;
  };

  if ((await handle.stat()).size > size) await restart();
  const known = handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 2 ** 20 });
  for await (const chunk of known as AsyncIterable<Uint8Array>) {
    signal?.throwIfAborted();
    hash.update(chunk);
    position += chunk.byteLength;
  }
  yield position;

  for (let failures = 0; position < size;) {
    const before = position;
    try {
      for await (const chunk of await read(position)) {
        signal?.throwIfAborted();
        if (position + chunk.byteLength > size) throw new RangeIgnored(`more than ${size} bytes came`);
        await handle.writev([chunk], position);
        hash.update(chunk);
        position += chunk.byteLength;
        yield position;
      }
      if (position < size) throw new TypeError('fetch failed: the connection ended early');
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof RangeIgnored && before > 0) {
        await restart();
        continue;
      }
      if (!isUnreachable(error)) throw error;
      failures = position > before ? 0 : failures + 1;
      const delay = retryDelays[Math.max(0, failures - 1)];
      if (delay === undefined || failures > retryDelays.length) throw error;
      await sleep(delay, undefined, { ...(signal && { signal }) });
    }
  }
  return hash.digest('hex');
}
