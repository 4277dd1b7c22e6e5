import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import fastGlob from 'fast-glob';
import { UserError } from '../src/errors.ts';
import { errorCode, fileError } from '../src/io/file-error.ts';

/** Compares texts by code point, the same in every locale and on every system. */
export function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** A folder's files, with what was not followed. */
export interface FileList {
  /** Paths relative to the folder with forward slashes, by code point. */
  readonly files: readonly string[];
  /** Links to folders that were not followed, since their pictures come in another way or they lead in a circle. */
  readonly linksNotFollowed: readonly string[];
}

const always = { dot: false, suppressErrors: false, caseSensitiveMatch: false } as const;

/** Whether `inner` is `outer` or lies in it. */
function isWithin(inner: string, outer: string): boolean {
  const path = relative(outer, inner);
  return path === '' || (path !== '..' && !path.startsWith(`..${sep}`) && !isAbsolute(path));
}

/** Folders below a root that links lead to: which links to follow so that every real folder is walked once. */
async function findLoopingLinks(root: string): Promise<string[]> {
  const walked: string[] = [];
  const notFollowed: string[] = [];
  const queue: { readonly prefix: string; readonly real: string }[] = [{ prefix: '', real: root }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { prefix, real } = next;
    // A folder already walked by another link, within one that was, or around one: its files would come twice.
    if (walked.some((other) => isWithin(real, other) || isWithin(other, real))) {
      notFollowed.push(prefix);
      continue;
    }
    walked.push(real);
    const entries = await fastGlob('**/*', {
      ...always,
      cwd: real,
      onlyFiles: false,
      followSymbolicLinks: false,
      objectMode: true,
    });
    const links = entries.filter((entry) => entry.dirent.isSymbolicLink()).map((entry) => entry.path);
    for (const link of links.sort(byCodePoint)) {
      const path = join(real, link);
      const target = await stat(path).catch(() => undefined);
      const name = prefix === '' ? link : `${prefix}/${link}`;
      if (target?.isDirectory()) queue.push({ prefix: name, real: await realpath(path) });
    }
  }
  return notFollowed;
}

function checkPattern(pattern: string): void {
  const plain = pattern.replace(/^!/, '');
  if (plain === '' || isAbsolute(plain) || plain.split('/').includes('..')) {
    throw new UserError(
      `The pattern ${JSON.stringify(pattern)} leaves the data set's folder; write it relative to the folder, like **/*.jpg.`,
    );
  }
}

/**
 * The files of a folder and its sub-folders that `patterns` name (globs with forward slashes; `!` in front leaves out).
 * Hidden files and folders are skipped. Links are followed, each real folder once, so that loops end.
 * @throws UserError when there is no such folder or it cannot be read
 */
export async function listFiles(folder: string, patterns: readonly string[] = ['**/*']): Promise<FileList> {
  patterns.forEach(checkPattern);
  const positive = patterns.filter((pattern) => !pattern.startsWith('!'));
  const negative = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
  try {
    const root = await realpath(folder);
    if (!(await stat(root)).isDirectory()) {
      throw new UserError(`Could not read ${folder} as a data set: it is a file; name its folder.`);
    }
    const linksNotFollowed = await findLoopingLinks(root);
    const files = await fastGlob(positive.length > 0 ? positive : ['**/*'], {
      ...always,
      cwd: root,
      onlyFiles: true,
      followSymbolicLinks: true,
      ignore: [
        ...negative,
        ...linksNotFollowed.flatMap((link) => [fastGlob.escapePath(link), `${fastGlob.escapePath(link)}/**`]),
      ],
    });
    return { files: files.sort(byCodePoint), linksNotFollowed: linksNotFollowed.sort(byCodePoint) };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') {
      throw new UserError(`There is no folder ${folder}; check the data set's path.`, { cause: error });
    }
    throw fileError(error, 'read', folder);
  }
}
