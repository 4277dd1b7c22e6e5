import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { UserError } from '../errors.ts';
import { syncFolder, writeJson } from '../io/atomic-write.ts';
import { fileError } from '../io/file-error.ts';
import { removeLeftovers, temporaryPath } from '../io/temporary-path.ts';
import { readJsonObject } from '../io/json.ts';
import { openSafetensors, readTensor, writeSafetensors } from '../io/safetensors.ts';
import { adapterFileName, readAdapter, writeAdapter } from '../lora/adapter-file.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import { readAnyAdapter } from '../lora/formats/read-any-adapter.ts';
import { float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { joinedCopy } from '../optim/joined-arrays.ts';
import { type Optimizer, type Params, restoreState, stateTensors } from '../optim/optimizer.ts';
import type { TrainState } from './train-state.ts';

const optimizerFile = 'optimizer.safetensors';
/** The moving average of an adapter in a checkpoint's folder. */
export const averageFile = 'ema.safetensors';
const stateFile = 'state.json';

const stateSchema = z.object({
  version: z.literal(1),
  step: z.int().nonnegative(),
  nan_losses: z.int().nonnegative(),
  /** What must be the same to go on: see `resumeKey`. */
  settings: z.record(z.string(), z.unknown()),
});

/** A checkpoint's folder and step. */
export interface CheckpointEntry {
  readonly step: number;
  readonly path: string;
}

function folderOf(runDir: string): string {
  return join(runDir, 'checkpoints');
}

/** The whole checkpoints of a run, oldest first. What a crash left half written has another name, and is not among them. */
export async function listCheckpoints(runDir: string): Promise<readonly CheckpointEntry[]> {
  let names: string[];
  try {
    names = await readdir(folderOf(runDir));
  } catch {
    return [];
  }
  return names
    .flatMap((name) => {
      const step = /^step-(\d+)$/.exec(name)?.[1];
      return step === undefined ? [] : [{ step: Number(step), path: join(folderOf(runDir), name) }];
    })
    .sort((a, b) => a.step - b.step);
}

/** What a checkpoint is made of. */
export interface CheckpointContents {
  readonly modules: AdaptedModules;
  readonly rslora: boolean;
  readonly state: TrainState;
  /** Settings that a resumed run must share. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * Writes checkpoints/step-N: everything under a temporary name, synced, then renamed, so that a folder of that name is
 * always whole. Then removes the oldest beyond `limit`.
 *
 * @throws UserError when it cannot be written; the checkpoints before stay
 */
export async function saveCheckpoint(
  runDir: string,
  { modules, rslora, state, settings }: CheckpointContents,
  limit: number | null,
): Promise<string> {
  const parent = folderOf(runDir);
  const path = join(parent, `step-${state.step}`);
  const temporary = temporaryPath(path);
  try {
    await removeLeftovers(parent);
    await mkdir(temporary, { recursive: true });
    await writeAdapter(join(temporary, adapterFileName), { modules, tensors: state.parameters }, { rslora });
    await writeSafetensors(join(temporary, optimizerFile), stateTensors(state.optimizer));
    if (state.average)
      await writeAdapter(join(temporary, averageFile), { modules, tensors: state.average }, { rslora });
    await writeJson(join(temporary, stateFile), {
      version: 1,
      step: state.step,
      nan_losses: state.nanLosses,
      settings,
    });
    await syncFolder(temporary);
    await rm(path, { recursive: true, force: true });
    await rename(temporary, path);
    await syncFolder(parent);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw await unsaved(error, runDir, path);
  }
  if (limit !== null) {
    const all = await listCheckpoints(runDir);
    for (const old of all.slice(0, Math.max(0, all.length - limit)))
      await rm(old.path, { recursive: true, force: true });
  }
  return path;
}

/** The error of a checkpoint that could not be written, with what there is to go on from. */
async function unsaved(error: unknown, runDir: string, path: string): Promise<unknown> {
  const told = fileError(error instanceof UserError ? error.cause : error, 'write the checkpoint', path);
  if (!(told instanceof UserError)) return error;
  return new UserError(`${told.message} ${await whatIsLeft(runDir)}`, { cause: told.cause });
}

/** What a run that cannot write goes on from, as a sentence. */
export async function whatIsLeft(runDir: string): Promise<string> {
  const newest = (await listCheckpoints(runDir)).at(-1);
  return newest
    ? `The checkpoint of step ${newest.step} is whole: the same command goes on from there.`
    : 'There is no checkpoint before it, so that the same command begins anew.';
}

/**
 * Reads a checkpoint back: exactly the state that was saved.
 * @throws UserError when a file is missing or damaged, or the checkpoint is of another model, adapter or optimizer
 */
export async function loadCheckpoint(
  path: string,
  {
    modules,
    optimizer,
    settings,
  }: {
    readonly modules: AdaptedModules;
    readonly optimizer: Optimizer;
    readonly settings: Readonly<Record<string, unknown>>;
  },
): Promise<TrainState> {
  const parsed = stateSchema.safeParse(await readJsonObject(join(path, stateFile)));
  if (!parsed.success)
    throw new UserError(
      `${join(path, stateFile)} is not a checkpoint's of this version; use another checkpoint or --resume never.`,
    );
  const differences = Object.keys({ ...settings, ...parsed.data.settings }).filter(
    (key) => JSON.stringify(settings[key]) !== JSON.stringify(parsed.data.settings[key]),
  );
  if (differences.length > 0) {
    const listed = differences.map((key) => describeDifference(key, parsed.data.settings[key], settings[key]));
    throw new UserError(
      `${path} cannot be gone on from: ${listed.join('; ')}. Put the config back, choose another run_dir, or use --resume never.`,
    );
  }
  const parameters = await parametersFrom(join(path, adapterFileName), modules);
  const saved = new Map<string, Tensor>();
  for (const [name, location] of (await openSafetensors(join(path, optimizerFile))).tensors)
    saved.set(name, await readTensor(location));
  const names = await readdir(path);
  const average = names.includes(averageFile) ? await parametersFrom(join(path, averageFile), modules) : undefined;
  return {
    step: parsed.data.step,
    nanLosses: parsed.data.nan_losses,
    parameters,
    optimizer: restoreState(optimizer, parameters, saved),
    ...(average && { average }),
  };
}

/** Models and adapters are known by hashes, which tell a person nothing. */
function describeDifference(key: string, was: unknown, is: unknown): string {
  if (key === 'base') return 'it was trained on another base model';
  if (key === 'adapter') return 'its adapter has other layers, ranks or scales';
  return `its ${key} is ${JSON.stringify(was)}, and the config says ${JSON.stringify(is)}`;
}

async function parametersFrom(path: string, modules: AdaptedModules): Promise<Params> {
  const isLycoris = [...modules.values()].some(({ lycoris }) => lycoris !== undefined);
  const { tensors } = isLycoris ? await readAnyAdapter(path, modules) : await readAdapter(path, modules);
  return joinedCopy(new Map([...tensors].map(([name, value]) => [name, float32(value.shape, toFloat32(value))])));
}
