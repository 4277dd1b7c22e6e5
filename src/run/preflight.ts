import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';

import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { fileError } from '../io/file-error.ts';
import { formatBytes } from '../io/format-bytes.ts';
import { formatDuration } from '../log/plain-log.ts';
import type { RunEstimate } from './estimate.ts';

/** What this machine has, as far as a run needs it. */
export interface Machine {
  /** Bytes of memory that are free or can be freed at once. */
  readonly availableMemory: number;
  /** Bytes of memory, or of what this process may have of it. */
  readonly memory: number;
  /** Free bytes on the disk of a folder, which need not be there yet, and which disk that is. */
  readonly disk: (folder: string) => Promise<{ readonly free: number; readonly id: number }>;
}

/** This machine, containers' limits taken into account. */
export function thisMachine(): Machine {
  const limit = process.constrainedMemory();
  return {
    availableMemory: process.availableMemory(),
    memory: limit > 0 && limit < totalmem() ? limit : totalmem(),
    async disk(folder) {
      const path = await existing(folder);
      // Some file systems do not say.
      const found = await statfs(path).catch(() => undefined);
      const free = found && found.blocks > 0 ? found.bavail * found.bsize : Number.POSITIVE_INFINITY;
      return { free, id: (await stat(path)).dev };
    },
  };
}

/** A folder, or the one around it that is there. */
async function existing(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path)) {
    if ((await stat(path).catch(() => undefined)) || path === dirname(path)) return path;
  }
}

/**
 * Whether folders can be written, or made.
 * @throws UserError naming the first that cannot
 */
export async function checkWritable(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const path = await existing(folder);
    if (!(await stat(path)).isDirectory()) {
      throw new UserError(`${folder} cannot be made, since ${path} is a file; choose another folder.`);
    }
    await access(path, constants.W_OK).catch((error: unknown) => {
      throw fileError(error, 'write to', path);
    });
  }
}

/** Folders that a run writes. */
export interface RunFolders {
  readonly cache: string;
  readonly run: string;
}

/** What speaks against a run: what cannot work, and what may not. */
export interface Verdict {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Compares what a run will take with what the machine has. Only what cannot work is a problem: estimates are rough. */
export async function judge(estimate: RunEstimate, folders: RunFolders, machine: Machine): Promise<Verdict> {
  const problems: string[] = [];
  const warnings: string[] = [];

  const needed = new Map<number, { folders: string[]; bytes: number; free: number }>();
  for (const part of ['cache', 'run'] as const) {
    const { free, id } = await machine.disk(folders[part]);
    const disk = needed.get(id) ?? { folders: [], bytes: 0, free };
    needed.set(id, disk);
    disk.folders.push(folders[part]);
    disk.bytes += estimate.disk[part];
  }
  for (const { folders, bytes, free } of needed.values()) {
    const where = folders.join(' and ');
    if (bytes > free) {
      problems.push(
        `The run writes about ${formatBytes(bytes)} to ${where}, and ${formatBytes(free)} are free there; free some space, choose another dataset.cache_dir or run_dir, or keep fewer checkpoints (train.checkpoints_total_limit).`,
      );
    } else if (bytes > 0.9 * free) {
      warnings.push(
        `The run writes about ${formatBytes(bytes)} to ${where}, and no more than ${formatBytes(free)} are free there.`,
      );
    }
  }

  const [stage, most] = Object.entries(estimate.memory).reduce((a, b) => (b[1] > a[1] ? b : a));
  const remedy = {
    captions: 'close other programs',
    pictures: 'use a smaller dataset.resolution',
    train:
      'use train.gradient_checkpointing: true, a smaller train.train_batch_size (and more train.gradient_accumulation_steps) or a smaller dataset.resolution',
    sample: 'make smaller samples (sample.width, sample.height), or none (sample.every: 0)',
  }[stage];
  const doing = {
    captions: 'Encoding captions',
    pictures: 'Encoding pictures',
    train: 'Training',
    sample: 'Making samples',
  }[stage];
  if (most > machine.memory) {
    warnings.push(
      `${doing} takes about ${formatBytes(most)} of memory, and this machine has ${formatBytes(machine.memory)}: it will be very slow, or the system will end it; ${remedy}.`,
    );
  } else if (most > machine.availableMemory) {
    warnings.push(
      `${doing} takes about ${formatBytes(most)} of memory, and ${formatBytes(machine.availableMemory)} are free; close other programs, or ${remedy}.`,
    );
  }
  return { problems, warnings };
}

/** An estimate as lines: memory, disk and time. */
export function describeEstimate({ memory, disk, seconds }: RunEstimate, steps: number): readonly string[] {
  const { captions, pictures, classPictures, step, train, samples } = seconds;
  const stages = [
    ...(classPictures >= 1 ? [`class pictures ${roughly(classPictures)}`] : []),
    ...(captions + pictures >= 1 ? [`captions and pictures ${roughly(captions + pictures)}`] : []),
    `${steps} ${steps === 1 ? 'step' : 'steps'} of ${roughly(step)}`,
    ...(samples >= 1 ? [`samples ${roughly(samples)}`] : []),
  ];
  return [
    `memory about ${formatBytes(Math.max(...Object.values(memory)))}`,
    `disk about ${formatBytes(disk.cache + disk.run)}`,
    `time about ${roughly(captions + pictures + classPictures + train + samples)} (${stages.join(', ')})`,
  ];
}

/** A time to one or two digits: more would promise too much. */
function roughly(seconds: number): string {
  if (seconds < 10) return formatDuration(Number(seconds.toPrecision(1)));
  if (seconds < 60) return `${Math.round(seconds / 5) * 5} s`;
  const minutes = seconds / 60;
  if (minutes < 10) return `${Math.round(minutes)} min`;
  if (minutes < 60) return `${Math.round(minutes / 5) * 5} min`;
  const hours = minutes / 60;
  return hours < 48 ? `${Number(hours.toPrecision(2))} hours` : `${Math.round(hours / 24)} days`;
}

/**
 * The look before a run spends hours, as events: what it will take, and what may go wrong.
 * @throws UserError when it cannot work
 */
export async function* preflight(
  estimate: RunEstimate,
  steps: number,
  folders: RunFolders,
  machine = thisMachine(),
): AsyncGenerator<TrainEvent> {
  const { problems, warnings } = await judge(estimate, folders, machine);
  if (problems.length > 0) throw new UserError(problems.join('\n'));
  yield { kind: 'log', message: `estimate: ${describeEstimate(estimate, steps).join('; ')}` };
  for (const message of warnings) yield { kind: 'warning', message };
}
