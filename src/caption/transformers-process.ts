/**
 * Runs transformers.js in a process of its own: its models block the thread that computes, and a process gives all of
 * their memory back when it ends.
 */
import { UserError } from '../errors.ts';
import { type ClipModel, loadClip } from './load-clip.ts';
import { modelError, setModelAccess } from './load-pretrained.ts';
import type { Envelope, Reply, Request } from './transformers-messages.ts';
import { loadVisionLanguageModel, type VisionLanguageModel } from './vision-language-model.ts';

const captioners = new Map<string, VisionLanguageModel>();
const clips = new Map<string, ClipModel>();

function loaded<T>(models: ReadonlyMap<string, T>, name: string): T {
  const model = models.get(name);
  if (!model) throw new Error(`the model ${name} has not been loaded`);
  return model;
}

function added<T>(models: Map<string, T>, name: string, model: T): T {
  models.set(name, model);
  return model;
}

async function answer(request: Request): Promise<Omit<Reply, 'id'>> {
  switch (request.kind) {
    case 'load': {
      const { role, model, dtype, access } = request;
      setModelAccess(access);
      try {
        const { looksAt } =
          role === 'clip'
            ? added(clips, model, await loadClip(model, access))
            : added(captioners, model, await loadVisionLanguageModel(model, dtype, access));
        return looksAt === undefined ? {} : { looksAt };
      } catch (error) {
        throw modelError(error, model);
      }
    }
    case 'caption':
      return { text: await loaded(captioners, request.model).say(request.picture, request.generation) };
    case 'score':
      return { ratings: await loaded(clips, request.model).rate(request.items, request.window) };
    case 'embed':
      return { embeddings: await loaded(clips, request.model).embed(request.pictures, request.texts) };
  }
}

async function handle({ id, request }: Envelope, before: Promise<void>): Promise<void> {
  await before;
  let reply: Reply;
  try {
    reply = { id, ...(await answer(request)) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reply = { id, error: { message, isUserError: error instanceof UserError } };
  }
  process.send?.(reply);
}

// One request after the other, in the order they came.
let turn = Promise.resolve();

process.on('message', (envelope: Envelope) => {
  turn = handle(envelope, turn);
});
// Ctrl-C goes to every process of a terminal; the parent decides what is finished first.
process.on('SIGINT', () => undefined);
// The parent is done, or gone: perhaps before this process had started.
process.on('disconnect', () => process.exit());
if (!process.connected) process.emit('disconnect');
