import { access } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

import { UserError } from '../errors.ts';
import { fileError } from '../io/file-error.ts';
import { type Environment, type HubAccess, hubAccess } from './hub-access.ts';
import { HubStatus, isUnreachable, networkReason } from './hub-error.ts';
import { hubFetch, type HubFetchOptions } from './hub-fetch.ts';

/** Settings of {@link pushFiles}. */
export interface PushOptions extends HubFetchOptions {
  /** Makes the repository a private one, if it is not there yet. @default the account's own default, public for most */
  readonly isPrivate?: boolean;
  /** What the commit is called. */
  readonly title: string;
  /** @default process.env */
  readonly env?: Environment;
}

/** A file to push. */
export interface PushedFile {
  /** Where it lies here. */
  readonly path: string;
  /** Its path in the repository, with slashes. */
  readonly name: string;
}

/** What keeps anything from being pushed, as a sentence; undefined where there is a token and a network is allowed. */
export async function pushObstacle(env: Environment = process.env): Promise<string | undefined> {
  const { hubUrl, offline, token } = await hubAccess(env);
  if (offline) return 'HF_HUB_OFFLINE is set, so nothing can be pushed; leave it unset.';
  if (token) return undefined;
  return `There is no token to push to ${hubUrl} with; make one that may write at ${hubUrl}/settings/tokens and set HF_TOKEN to it.`;
}

/**
 * Commits files to a model's repository on the Hugging Face hub, which is made if it is not there; files of other names
 * that it has stay. Gives the repository's address.
 *
 * @param id owner/name
 * @throws UserError when there is no token, it may not write there, or the hub cannot be reached
 */
export async function pushFiles(
  id: string,
  files: readonly PushedFile[],
  { env = process.env, isPrivate = false, title, ...options }: PushOptions,
): Promise<string> {
  const hub = await hubAccess(env);
  const { hubUrl, token } = hub;
  const obstacle = await pushObstacle(env);
  if (obstacle !== undefined || !token) throw new UserError(obstacle ?? `There is no token to push ${id} with.`);
  for (const { path } of files) {
    await access(path).catch((error: unknown) => {
      throw fileError(error, 'read', path);
    });
  }
  const contents = files.map(({ path, name }) => ({ path: name, content: pathToFileURL(path) }));
  // Loaded here: only who pushes needs it.
  const { createRepo, uploadFiles } = await import('@huggingface/hub');
  const repo = { type: 'model', name: id } as const;
  const common = { repo, hubUrl, accessToken: token.value, fetch: hubFetch(options) };
  try {
    await createRepo({ ...common, ...(isPrivate && { visibility: 'private' }) }).catch((error: unknown) => {
      const isThere = error instanceof HubStatus && error.status === 409;
      if (!isThere) throw error;
    });
    // Not by xet: plain requests go through any proxy, and an adapter is small.
    await uploadFiles({ ...common, files: contents, commitTitle: title, useXet: false });
  } catch (error) {
    options.signal?.throwIfAborted();
    throw explainPushError(error, id, hub);
  }
  return `${hubUrl}/${id}`;
}

/** A failed push as a sentence for the user, where it is one that a user can do something about; else as it is. */
function explainPushError(error: unknown, id: string, { hubUrl, token }: HubAccess): unknown {
  if (isUnreachable(error))
    return new UserError(`${hubUrl} cannot be reached${networkReason(error)}; check the network.`, { cause: error });
  if (!(error instanceof HubStatus)) return error;
  const { status, reason } = error;
  const from = token?.from ?? 'HF_TOKEN';
  const said = reason === '' ? `it answered ${status}` : `it says: ${reason}`;
  const sentence = (): string => {
    if (status === 401)
      return `${hubUrl} refuses the token in ${from}; make a new one that may write at ${hubUrl}/settings/tokens.`;
    if (status === 403 || status === 404)
      return `The token in ${from} may not write to ${id} (${said}); check the owner's name, or make a token that may write there at ${hubUrl}/settings/tokens.`;
    if (status === 429) return `${hubUrl} has had too many requests; try again in some minutes.`;
    if (status >= 500) return `${hubUrl} has a problem of its own (it answered ${status}); try again later.`;
    return `${hubUrl} does not take the files of ${id} (${said}).`;
  };
  return new UserError(sentence(), { cause: error });
}
