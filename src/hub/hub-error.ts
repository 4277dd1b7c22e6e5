import { UserError } from '../errors.ts';
import { quoted } from '../io/json.ts';
import type { HubAccess } from './hub-access.ts';
import { nearestModel } from './known-models.ts';

/** The hub answered, and not with what was asked for. */
export class HubStatus extends Error {
  override readonly name = 'HubStatus';
  readonly status: number;
  /** Of the header X-Error-Code, such as GatedRepo; '' where there is none. */
  readonly code: string;
  /** Of the header X-Error-Message. */
  readonly reason: string;

  constructor(response: Response) {
    const { status, url, headers } = response;
    super(`${url} answered with ${status}`);
    this.status = status;
    this.code = headers.get('X-Error-Code') ?? '';
    this.reason = headers.get('X-Error-Message') ?? '';
  }
}

/** Whether a request got no answer: no network, a name that is not found, a connection that broke. */
export function isUnreachable(error: unknown): boolean {
  // fetch says `TypeError: fetch failed`, and `terminated` when the connection breaks.
  return error instanceof TypeError && /fetch failed|terminated|network|socket/i.test(error.message);
}

/** Why a request got no answer, in brackets: the system's word, such as ENOTFOUND, or what else is known. */
export function networkReason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (typeof cause === 'string') return ` (${cause})`;
  if (!(cause instanceof Error)) return '';
  return ` (${'code' in cause ? String(cause.code) : cause.message})`;
}

/** What was asked for when it failed. */
export interface HubRequest {
  readonly id: string;
  readonly revision: string;
  readonly access: HubAccess;
}

/** A failed request as a sentence for the user, where it is one that a user can do something about; else as it is. */
export function explainHubError(error: unknown, { id, revision, access }: HubRequest): unknown {
  const { hubUrl, token } = access;
  const page = `${hubUrl}/${id}`;
  if (isUnreachable(error)) {
    return new UserError(
      `${id} is not on this machine, and ${hubUrl} cannot be reached${networkReason(error)}; check the network (behind a proxy, set HTTPS_PROXY and NODE_USE_ENV_PROXY=1 with Node 24), or name a model's folder.`,
      { cause: error },
    );
  }
  if (!(error instanceof HubStatus)) return error;
  const { status, code, reason } = error;
  const sentence = (): string | undefined => {
    if (status === 401 && /invalid.*(credentials|token|username)|expired/i.test(reason)) {
      return `${hubUrl} refuses the token in ${token?.from ?? 'HF_TOKEN'}; make a new one at ${hubUrl}/settings/tokens, or leave it out for public models.`;
    }
    if (code === 'GatedRepo') {
      return token
        ? `${id} is gated, and the account of the token in ${token.from} has not been let in; accept its conditions on ${page}, or use a token of an account that has.`
        : `${id} is gated; accept its conditions on ${page}, make a token at ${hubUrl}/settings/tokens and set HF_TOKEN to it.`;
    }
    if (code === 'RevisionNotFound') {
      return `${page} has no revision ${quoted(revision)}; use a branch, a tag or a commit from ${page}/commits, or leave model.revision out.`;
    }
    // Without a token the hub says 401 of what does not exist and of what is private alike.
    if (code === 'RepoNotFound' || status === 401 || status === 404) {
      const near = nearestModel(id);
      const hint = near === undefined ? 'check the spelling' : `did you mean ${near}?`;
      const isPrivate = token
        ? `the token in ${token.from} cannot see it`
        : 'it is private: then set HF_TOKEN to a token that may read it';
      return `There is no folder ${id}, and ${hubUrl} has no repository of that name (${hint}), or ${isPrivate}.`;
    }
    if (status === 403) return `${page} may not be read (${reason || 'forbidden'}); check what the token may do.`;
    if (status === 429) return `${hubUrl} has had too many requests; try again in some minutes, or set HF_TOKEN.`;
    if (status >= 500) return `${hubUrl} has a problem of its own (it answered ${status}); try again later.`;
    return undefined;
  };
  const message = sentence();
  return message === undefined ? error : new UserError(message, { cause: error });
}
