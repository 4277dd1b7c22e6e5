import { fork, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { UserError } from '../errors.ts';
import type { ClipWindow } from '../metrics/clip-windows.ts';
import type { RgbPicture } from '../metrics/pillow-resize.ts';
import type {
  ClipEmbeddings,
  Envelope,
  Generation,
  ModelAccess,
  PictureTexts,
  Rating,
  Reply,
  Request,
  WeightsDtype,
} from './transformers-messages.ts';

/** Models that run in a process of their own, which starts with the first of them. */
export interface TransformersClient {
  /**
   * Loads a model; once for all calls with its name.
   * @returns pixels of the shorter side that it scales every picture to; undefined where that depends on the picture
   */
  load(role: 'captioner' | 'clip', model: string, dtype: WeightsDtype): Promise<number | undefined>;
  caption(model: string, picture: RgbPicture, generation: Generation): Promise<string>;
  /** Rates the captions of a picture; calls that wait are computed together. */
  score(model: string, item: PictureTexts, window: ClipWindow): Promise<readonly Rating[]>;
  /** The embeddings of pictures and texts by a CLIP. */
  embed(model: string, pictures: readonly RgbPicture[], texts: readonly string[]): Promise<ClipEmbeddings>;
  /** Ends the process; whatever waits fails. */
  close(): void;
}

/** Starts the process; from its sources, as the tests do, with the TypeScript loader. */
function startProcess(token: string | undefined): ChildProcess {
  const source = import.meta.url;
  const isSource = source.endsWith('.ts');
  const path = fileURLToPath(new URL(`./transformers-process.${isSource ? 'ts' : 'js'}`, source));
  const loader = isSource ? ['--import', pathToFileURL(createRequire(source).resolve('tsx')).href] : [];
  // 'advanced' carries bytes as they are.
  return fork(path, {
    execArgv: loader,
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // Where transformers.js looks for it.
    env: { ...process.env, ...(token !== undefined && { HF_TOKEN: token }) },
  });
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

interface WaitingScore {
  readonly item: PictureTexts;
  readonly resolve: (ratings: readonly Rating[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Pictures whose captions are rated in one request. */
const scoresAtOnce = 16;

/**
 * Opens transformers.js' models.
 * @param token for the hub
 */
export function createTransformersClient(access: ModelAccess, token?: string): TransformersClient {
  let child: ChildProcess | undefined;
  let gone: Error | undefined;
  let ids = 0;
  const waiting = new Map<number, Waiting>();
  const loading = new Map<string, Promise<number | undefined>>();

  function fail(error: Error): void {
    gone ??= error;
    for (const { reject } of waiting.values()) reject(gone);
    waiting.clear();
  }

  function start(): ChildProcess {
    const started = startProcess(token);
    started.on('error', fail);
    started.on('exit', (code, signal) => {
      const how = signal === null ? `code ${code}` : signal;
      // The usual reason is that the system ended it for want of memory.
      fail(
        new UserError(`The process that runs captioners and CLIP has ended (${how}); use a smaller model or dtype.`),
      );
    });
    started.on('message', (reply: Reply) => {
      const { resolve, reject } = waiting.get(reply.id) ?? {};
      waiting.delete(reply.id);
      // It may end while nothing waits for it.
      if (waiting.size === 0) unref(started);
      if (reply.error === undefined) resolve?.(reply);
      else reject?.(reply.error.isUserError ? new UserError(reply.error.message) : new Error(reply.error.message));
    });
    return started;
  }

  function ask(request: Request): Promise<Reply> {
    if (gone) return Promise.reject(gone);
    child ??= start();
    const process = child;
    return new Promise((resolve, reject) => {
      const envelope: Envelope = { id: ids++, request };
      waiting.set(envelope.id, { resolve, reject });
      process.ref();
      process.channel?.ref();
      process.send(envelope, (error) => {
        if (error) fail(error);
      });
    });
  }

  let scores: { readonly model: string; readonly window: ClipWindow; readonly items: WaitingScore[] } | undefined;
  let scoring = false;

  async function scoreWaiting(): Promise<void> {
    if (scoring || scores === undefined) return;
    const { model, window, items } = scores;
    const now = items.splice(0, scoresAtOnce);
    if (now.length === 0) return;
    scoring = true;
    try {
      const { ratings } = await ask({ kind: 'score', model, window, items: now.map(({ item }) => item) });
      for (const [i, { resolve }] of now.entries()) resolve(ratings?.[i] ?? []);
    } catch (error) {
      for (const { reject } of now) reject(error);
    } finally {
      scoring = false;
    }
    await scoreWaiting();
  }

  return {
    load(role, model, dtype) {
      const key = `${role} ${model} ${dtype}`;
      const promise =
        loading.get(key) ?? ask({ kind: 'load', role, model, dtype, access }).then(({ looksAt }) => looksAt);
      loading.set(key, promise);
      return promise;
    },
    async caption(model, picture, generation) {
      const { text = '' } = await ask({ kind: 'caption', model, picture, generation });
      return text;
    },
    score(model, item, window) {
      if (scores?.model !== model || scores.window !== window) scores = { model, window, items: [] };
      const { items } = scores;
      return new Promise((resolve, reject) => {
        items.push({ item, resolve, reject });
        void scoreWaiting();
      });
    },
    async embed(model, pictures, texts) {
      const { embeddings = { pictures: [], texts: [] } } = await ask({ kind: 'embed', model, pictures, texts });
      return embeddings;
    },
    close() {
      fail(new Error('the captioners were closed'));
      if (child?.connected === true) child.disconnect();
    },
  };
}

function unref(process: ChildProcess): void {
  process.unref();
  process.channel?.unref();
}
