import { UserError } from '../errors.ts';

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; check the path',
  ENOTDIR: 'part of its path is a file and not a folder; check the path',
  EISDIR: 'it is a folder; name a file',
  EACCES: 'this user has no permission; change the permissions or choose another path',
  EPERM: 'the system does not permit it; close programs that hold the file, or choose another path',
  EBUSY: 'another program holds it; close that program and try again',
  ENOSPC: 'the disk is full; free some space and try again',
  EDQUOT: 'the disk quota is used up; free some space and try again',
  EROFS: 'the file system is read-only; choose another path',
  ELOOP: 'its symbolic links form a loop; mend the link',
  ENAMETOOLONG: 'the path is too long; choose a shorter one',
  EMFILE: 'too many files are open; raise the limit (ulimit -n)',
  EIO: 'the disk reports an input/output error; check the disk',
};

/** The system's code of a file operation that failed, such as ENOENT; undefined for any other error. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * `error` as a sentence for the user where the system's code is one that a user can do something about,
 * and the error itself where it is not.
 * @param action what could not be done: 'read', 'write'
 */
export function fileError(error: unknown, action: string, path: string): unknown {
  const reason = reasons[errorCode(error) ?? ''];
  return reason === undefined ? error : new UserError(`Could not ${action} ${path}: ${reason}.`, { cause: error });
}
