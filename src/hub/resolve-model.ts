import { mkdir, readFile, stat, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { formatBytes } from '../io/format-bytes.ts';
import { fileError } from '../io/file-error.ts';
import { quoted } from '../io/json.ts';
import { bundledModel, modelFolder } from '../pipeline/model-folder.ts';
import { cachedRepo, isCommit, linkBlob, readSnapshot, type Snapshot, writeRef } from './cached-repo.ts';
import { downloadBlob, type DownloadOptions } from './download-blob.ts';
import { type Environment, type HubAccess, hubAccess } from './hub-access.ts';
import { explainHubError, isUnreachable } from './hub-error.ts';
import type { HubFetchOptions } from './hub-fetch.ts';
import type { RemoteFile, RemoteRepository } from './hub-repository.ts';
import { nearestModel } from './known-models.ts';
import { pipelineFiles, shardsOf } from './pipeline-files.ts';

/** A model as a config or the command line names it. */
export interface ModelName {
  /** sana-pico, a folder in diffusers' layout, or the id of a Hugging Face repository. */
  readonly path: string;
  /** Commit, branch or tag of a repository. @default 'main' */
  readonly revision?: string | null;
  /** Such as 'fp16'. @default the plain files */
  readonly variant?: string | null;
}

/** Settings of {@link streamModel}. */
export interface StreamModelOptions extends DownloadOptions, HubFetchOptions {
  /** @default process.env */
  readonly env?: Environment;
  /**
   * `configs` leaves the weights where they are: enough to look at pictures and captions, in seconds.
   * @default 'all'
   */
  readonly parts?: 'all' | 'configs';
}

/** Where a model lies, and what of it is not there yet. */
export interface ResolvedModel {
  readonly folder: string;
  /** Bytes of weights that are still to be downloaded: 0 but for `parts: 'configs'`. */
  readonly missingBytes: number;
}

/** Settings of {@link resolveModel}. */
export interface ResolveModelOptions extends StreamModelOptions {
  /** Is told how a download goes on. */
  readonly onProgress?: (event: TrainEvent) => void;
}

/**
 * The folder of a model that a user names. A Hugging Face repository is downloaded to the cache that all of Hugging
 * Face's libraries share: only the files that a pipeline is opened with, each checked by its digest; a download that
 * broke is gone on with, and without a network what is there is used.
 *
 * @throws UserError when there is no such model, it is gated, nothing of it is here and the hub cannot be reached, or
 * the disk is too small
 */
export async function resolveModel(
  model: ModelName,
  { onProgress, ...options }: ResolveModelOptions = {},
): Promise<ResolvedModel> {
  const events = streamModel(model, options);
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) return value;
    onProgress?.(value);
  }
}

/** {@link resolveModel} as events, which end with the folder. */
export async function* streamModel(
  { path, revision, variant }: ModelName,
  options: StreamModelOptions = {},
): AsyncGenerator<TrainEvent, ResolvedModel> {
  if (path === bundledModel) return { folder: modelFolder(path), missingBytes: 0 };
  if (await stat(path).catch(() => undefined)) return { folder: path, missingBytes: 0 };
  if (isAbsolute(path) || /^\.{1,2}([/\\]|$)/.test(path)) {
    throw new UserError(`There is no folder ${path}; check the path.`);
  }
  if (!/^[\w-][\w.-]*\/[\w.-]+$/.test(path) || path.includes('..')) {
    const near = nearestModel(path);
    const hint = near === undefined ? '' : ` Did you mean ${near}?`;
    throw new UserError(
      `There is no folder ${path}, and it is no id of Hugging Face, which has the form OWNER/NAME.${hint}`,
    );
  }
  const wanted = revision ?? 'main';
  if (!/^[\w][\w./-]*$/.test(wanted) || wanted.split('/').includes('..')) {
    throw new UserError(`The revision of ${path} is ${quoted(wanted)}; use a branch, a tag or a commit.`);
  }
  return yield* repositoryFolder(path, wanted, variant ?? undefined, options);
}

async function* repositoryFolder(
  id: string,
  revision: string,
  variant: string | undefined,
  { env = process.env, parts = 'all', ...options }: StreamModelOptions,
): AsyncGenerator<TrainEvent, ResolvedModel> {
  const access = await hubAccess(env);
  const repo = cachedRepo(access.cacheDir, id);
  const snapshot = await readSnapshot(repo, revision);
  const local = snapshot && (await isWhole(id, snapshot, variant)) ? snapshot : undefined;
  // A commit never changes: nothing has to be asked.
  if (local && (access.offline || isCommit(revision))) return { folder: local.folder, missingBytes: 0 };
  if (access.offline) {
    throw new UserError(
      `HF_HUB_OFFLINE is set, and ${access.cacheDir} holds ${snapshot ? 'only a part of' : 'nothing of'} ${id}${revision === 'main' ? '' : ` at ${revision}`}; leave it unset once, or name a model's folder.`,
    );
  }
  try {
    // Loaded here: neither the bundled model nor a folder needs it.
    const { openRepository } = await import('./hub-repository.ts');
    const remote = await openRepository(id, revision, access, options);
    const missing = yield* download(id, repo, remote, { access, variant, parts, options });
    await writeRef(repo, revision, remote.commit);
    return { folder: join(repo, 'snapshots', remote.commit), missingBytes: missing };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (local && isUnreachable(error)) {
      const message = `${access.hubUrl} cannot be reached; ${id} is used as it was when it was last downloaded (commit ${local.commit.slice(0, 8)}).`;
      yield { kind: 'warning', message };
      return { folder: local.folder, missingBytes: 0 };
    }
    throw explainHubError(error, { id, revision, access });
  }
}

/** Whether the cache holds all files of a pipeline. */
async function isWhole(id: string, { folder, names }: Snapshot, variant: string | undefined): Promise<boolean> {
  try {
    const { indexes } = pipelineFiles(id, names, variant);
    for (const index of indexes) {
      const shards = shardsOf(index, JSON.parse(await readFile(join(folder, index), 'utf8')));
      if (!shards.every((shard) => names.includes(shard))) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** Downloads what the cache lacks. Gives the bytes of weights that were left out. */
async function* download(
  id: string,
  repo: string,
  { commit, files, open }: RemoteRepository,
  {
    access,
    variant,
    parts,
    options,
  }: {
    readonly access: HubAccess;
    readonly variant: string | undefined;
    readonly parts: 'all' | 'configs';
    readonly options: DownloadOptions;
  },
): AsyncGenerator<TrainEvent, number> {
  const page = `${access.hubUrl}/${id}`;
  const snapshot = join(repo, 'snapshots', commit);
  const blobOf = ({ digest }: RemoteFile): string => join(repo, 'blobs', digest);
  const fileOf = (path: string): RemoteFile => {
    const file = files.get(path);
    if (!file) throw new UserError(`${page} has no ${path}, which its list of shards names; use another revision.`);
    return file;
  };
  const get = async function* (file: RemoteFile): AsyncGenerator<number> {
    const path = join(snapshot, file.path);
    if (!(await hasSize(path, file.size))) {
      if (!(await hasSize(blobOf(file), file.size))) yield* downloadBlob(open(file), blobOf(file), options);
      try {
        await linkBlob(blobOf(file), path);
      } catch (error) {
        throw fileError(error, 'write', path);
      }
    }
    yield file.size;
  };

  const { configs, indexes, weights } = pipelineFiles(page, [...files.keys()], variant);
  for (const path of configs) for await (const _ of get(fileOf(path))) options.signal?.throwIfAborted();
  const shards = await Promise.all(
    indexes.map(async (path) => shardsOf(path, JSON.parse(await readFile(join(snapshot, path), 'utf8')))),
  );
  const wanted = [...new Set([...weights, ...shards.flat()])].map(fileOf);

  const here = await Promise.all(wanted.map((file) => hasSize(join(snapshot, file.path), file.size)));
  const missing = wanted.filter((_, i) => !here[i]);
  const total = sum(missing.map(({ size }) => size));
  if (parts === 'configs' || missing.length === 0) return total;

  await checkSpace(id, access.cacheDir, total - (await begunBytes(missing.map(blobOf))));
  const count = missing.length === 1 ? '1 file' : `${missing.length} files`;
  yield { kind: 'log', message: `downloads ${id} (${count}, ${formatBytes(total)}) to ${access.cacheDir}` };
  let finished = 0;
  let told = 0;
  for (const file of missing) {
    for await (const position of get(file)) {
      const now = performance.now();
      if (now - told < 500) continue;
      told = now;
      yield progress(finished + position, total);
    }
    finished += file.size;
  }
  yield progress(total, total);
  return 0;
}

function progress(done: number, total: number): TrainEvent {
  const megabytes = (bytes: number): number => Math.ceil(bytes / 1e6);
  return { kind: 'stage', stage: 'download', done: megabytes(done), total: megabytes(total), what: 'MB' };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

async function hasSize(path: string, size: number): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.size === size;
}

/** Bytes that blobs, whole or begun, have on the disk already. */
async function begunBytes(blobs: readonly string[]): Promise<number> {
  const sizes = blobs.flatMap((blob) => [blob, `${blob}.incomplete`]).map((path) => stat(path).catch(() => undefined));
  return sum((await Promise.all(sizes)).map((found) => found?.size ?? 0));
}

async function checkSpace(id: string, cacheDir: string, needed: number): Promise<void> {
  await mkdir(cacheDir, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, 'write to', cacheDir);
  });
  // Some file systems do not say; then the disk itself will.
  const found = await statfs(cacheDir).catch(() => undefined);
  const free = found ? found.bavail * found.bsize : Number.POSITIVE_INFINITY;
  if (free === 0 || needed <= free) return;
  throw new UserError(
    `${id} takes ${formatBytes(needed)} more in ${cacheDir}, and ${formatBytes(free)} are free; free some space, or set HF_HOME to a folder on another disk.`,
  );
}
