import { downloadFile, fileDownloadInfo, listFiles, modelInfo } from '@huggingface/hub';

import { UserError } from '../errors.ts';
import { type BlobSource, RangeIgnored } from './download-blob.ts';
import type { HubAccess } from './hub-access.ts';
import { HubStatus } from './hub-error.ts';
import { hubFetch, type HubFetchOptions } from './hub-fetch.ts';

/** A file of a repository, before it is here. */
export interface RemoteFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What it is called among the cache's blobs: see BlobSource. */
  readonly digest: string;
}

/** What the hub says of a repository. */
export interface RemoteRepository {
  readonly commit: string;
  readonly files: ReadonlyMap<string, RemoteFile>;
  /** A file of that commit, to be downloaded. */
  readonly open: (file: RemoteFile) => BlobSource;
}

/**
 * Asks the hub which commit a revision is, and for its files.
 * @throws HubStatus when it refuses, TypeError when it cannot be reached: explainHubError makes sentences of them
 */
export async function openRepository(
  id: string,
  revision: string,
  { hubUrl, token }: HubAccess,
  { signal, ...busy }: HubFetchOptions = {},
): Promise<RemoteRepository> {
  const ask = hubFetch({ ...busy, ...(signal && { signal }) });
  const common = { hubUrl, fetch: ask, ...(token && { accessToken: token.value }) };

  const { sha: commit } = await modelInfo({ ...common, name: id, revision, additionalFields: ['sha'] });
  if (!/^[0-9a-f]{40}$/.test(commit)) throw new UserError(`${hubUrl} gives no commit of ${id}; is it a hub?`);
  const files = new Map<string, RemoteFile>();
  for await (const { type, path, size, oid, lfs } of listFiles({
    ...common,
    repo: id,
    recursive: true,
    revision: commit,
  })) {
    const digest = lfs?.oid ?? oid;
    // A digest becomes a file's name.
    if (type === 'file' && digest !== undefined && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(digest))
      files.set(path, { path, size: lfs?.size ?? size, digest });
  }

  const open = ({ path, size, digest }: RemoteFile): BlobSource => ({
    name: `${id}/${path}`,
    size,
    digest,
    async read(from) {
      const request = { ...common, repo: id, path, revision: commit };
      const info = await fileDownloadInfo(request);
      if (!info) throw new UserError(`${hubUrl}/${id} lists ${path} and does not have it; try again later.`);
      let failure: Error | undefined;
      const fetchBytes: typeof fetch = async (url, init) => {
        try {
          const response = await fetch(url, { ...init, ...(signal && { signal }) });
          if (!response.ok) throw new HubStatus(response);
          if (from > 0 && response.status !== 206) throw new RangeIgnored(`${path}: the whole file came`);
          return response;
        } catch (error) {
          failure = error instanceof Error ? error : new Error(String(error));
          throw failure;
        }
      };
      // Not by xet, whose chunks are put together in JavaScript: plain ranges are what a broken download goes on with.
      const blob = await downloadFile({ ...request, fetch: fetchBytes, downloadInfo: info, xet: false });
      if (!blob) throw new UserError(`${hubUrl}/${id} lists ${path} and does not have it; try again later.`);
      return bytesOf(from === 0 ? blob : blob.slice(from), () => failure);
    },
  });
  return { commit, files, open };
}

/** A blob's bytes. The library passes an error's message on and not the error: what was seen of it goes first. */
async function* bytesOf(blob: Blob, failure: () => Error | undefined): AsyncGenerator<Uint8Array> {
  try {
    yield* blob.stream();
  } catch (error) {
    const seen = failure();
    if (seen !== undefined) throw seen;
    throw error instanceof Error ? error : new TypeError(`fetch failed: ${String(error)}`, { cause: error });
  }
}
