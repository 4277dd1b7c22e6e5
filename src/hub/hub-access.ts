import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { UserError } from '../errors.ts';

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the hub is, where its files are kept, and as whom it is asked. */
export interface HubAccess {
  /** Without a slash at its end. */
  readonly hubUrl: string;
  /** The folder that all of Hugging Face's libraries share. */
  readonly cacheDir: string;
  /** Whether nothing may be asked of the network. */
  readonly offline: boolean;
  readonly token?: { readonly value: string; readonly from: string };
}

/** The hub, where no other is named. */
const publicHub = 'https://huggingface.co';

/**
 * Reads the variables that Hugging Face's own libraries read (huggingface_hub's constants.py): HF_HOME, HF_HUB_CACHE,
 * HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN, and the file that `hf auth login` leaves a token in.
 * @throws UserError for an endpoint that is no address, and a token that is none
 */
export async function hubAccess(env: Environment = process.env): Promise<HubAccess> {
  const home = env['HOME'] ?? homedir();
  const folder = (path: string): string => (/^~(?=[/\\]|$)/.test(path) ? join(home, path.slice(1)) : path);
  const given = (...names: readonly string[]): string | undefined =>
    names.map((name) => env[name]).find((value) => value !== undefined && value !== '');

  const hfHome = folder(given('HF_HOME') ?? join(given('XDG_CACHE_HOME') ?? join(home, '.cache'), 'huggingface'));
  const cacheDir = folder(given('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE') ?? join(hfHome, 'hub'));
  const hubUrl = (given('HF_ENDPOINT') ?? publicHub).replace(/\/+$/, '');
  if (!/^https?:\/\/[^\s/]/.test(hubUrl)) {
    throw new UserError(`HF_ENDPOINT is ${hubUrl}; use an address such as ${publicHub}, or leave it unset.`);
  }
  const isOn = (name: string): boolean => /^(1|on|yes|true)$/i.test(env[name] ?? '');
  const token = await tokenOf(given, folder(given('HF_TOKEN_PATH') ?? join(hfHome, 'token')));
  return {
    hubUrl,
    cacheDir,
    offline: isOn('HF_HUB_OFFLINE') || isOn('TRANSFORMERS_OFFLINE'),
    ...(token && { token }),
  };
}

async function tokenOf(
  given: (...names: readonly string[]) => string | undefined,
  path: string,
): Promise<HubAccess['token']> {
  const name = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'].find((variable) => given(variable) !== undefined);
  const from = name ?? path;
  const text = name === undefined ? await readFile(path, 'utf8').catch(() => '') : given(name);
  const value = text?.trim() ?? '';
  if (value === '') return undefined;
  // The library refuses others too. What was found is a secret and stays out of the message.
  if (!/^hf_[\w-]+$/.test(value)) {
    throw new UserError(
      `What ${from} holds is no token of Hugging Face, which begins with hf_; make one at ${publicHub}/settings/tokens, or leave it out for public models.`,
    );
  }
  return { value, from };
}
