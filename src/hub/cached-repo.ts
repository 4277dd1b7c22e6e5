import { constants } from 'node:fs';
import { copyFile, link, mkdir, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import { writeText } from '../io/atomic-write.ts';
import { errorCode } from '../io/file-error.ts';

/** Whether a revision is a whole commit, which never changes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** The folder of a repository in the cache that all of Hugging Face's libraries share: blobs/, refs/ and snapshots/. */
export function cachedRepo(cacheDir: string, id: string): string {
  return join(cacheDir, `models--${id.replaceAll('/', '--')}`);
}

/** What the cache holds of a revision. */
export interface Snapshot {
  readonly folder: string;
  readonly commit: string;
  /** Paths of its files, with forward slashes; a link to a blob that is gone is none. */
  readonly names: readonly string[];
}

/** What the cache holds of a revision as it was when it was last asked for; undefined when it holds nothing of it. */
export async function readSnapshot(repo: string, revision: string): Promise<Snapshot | undefined> {
  const commit = isCommit(revision) ? revision : await readFile(join(repo, 'refs', revision), 'utf8').catch(() => '');
  if (!isCommit(commit.trim())) return undefined;
  const folder = join(repo, 'snapshots', commit.trim());
  const names = await listFiles(folder);
  return names.length > 0 ? { folder, commit: commit.trim(), names } : undefined;
}

/** Files of a folder and of the folders in it. */
async function listFiles(folder: string, prefix = ''): Promise<readonly string[]> {
  const names = await readdir(join(folder, prefix)).catch(() => []);
  const found = await Promise.all(
    names.map(async (name) => {
      const path = `${prefix}${name}`;
      const entry = await stat(join(folder, path)).catch(() => undefined);
      if (entry?.isDirectory() === true) return prefix === '' ? await listFiles(folder, `${path}/`) : [];
      return entry?.isFile() === true ? [path] : [];
    }),
  );
  return found.flat();
}

/** Remembers which commit a branch or tag was at, for when there is no network. */
export async function writeRef(repo: string, revision: string, commit: string): Promise<void> {
  if (revision === commit) return;
  const path = join(repo, 'refs', revision);
  await mkdir(dirname(path), { recursive: true });
  await writeText(path, commit);
}

/**
 * Makes a blob seen under its name in a snapshot. Where symbolic links are not permitted, as for most users of Windows,
 * it is a hard link, and where those do not work either a copy.
 */
export async function linkBlob(blob: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  try {
    // Relative, so that the cache can be moved.
    await symlink(relative(dirname(path), blob), path);
  } catch (error) {
    // Another process was quicker.
    if (errorCode(error) === 'EEXIST') return;
    try {
      await link(blob, path);
    } catch {
      await copyFile(blob, path, constants.COPYFILE_FICLONE);
    }
  }
}
