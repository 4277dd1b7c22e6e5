import { arch, availableParallelism, cpus, platform, release } from 'node:os';

import { defaultCacheDir } from '../config/paths.ts';
import { UserError } from '../errors.ts';
import { type HubAccess, hubAccess } from '../hub/hub-access.ts';
import { thisMachine } from '../run/preflight.ts';
import { engineNames } from '../run/probe-engine.ts';
import { tryEngine } from '../run/try-engine.ts';
import { type Diagnosis, type Finding, formatDiagnosis } from './format-diagnosis.ts';
import { createProgressLine } from './progress-line.ts';
import { version } from './version.ts';

/** The options of `sana-train doctor`. */
export interface DoctorOptions {
  readonly json?: boolean;
}

/** Looks what this machine has, tries every engine, and prints what was found. */
export async function runDoctor({ json = false }: DoctorOptions): Promise<void> {
  const progress = createProgressLine(process.stderr);
  const engines: Finding[] = [];
  for (const engine of engineNames) {
    progress.show(`trying ${engine}`);
    engines.push({ engine, probe: await tryEngine(engine) });
  }
  // A token that is none is a finding like others.
  const access = await hubAccess().catch((error: unknown) => {
    if (error instanceof UserError) return error.message;
    throw error;
  });
  const machine = thisMachine();
  const folders = [
    ...(typeof access === 'string' ? [] : [{ name: 'models', path: access.cacheDir }]),
    { name: 'cache', path: defaultCacheDir(process.env) },
    { name: 'here', path: process.cwd() },
  ];
  const diagnosis: Diagnosis = {
    version,
    node: process.version,
    system: `${platform()} ${release()} ${arch()}`,
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memory: machine.memory,
    availableMemory: machine.availableMemory,
    folders: await Promise.all(
      folders.map(async ({ name, path }) => ({ name, path, free: (await machine.disk(path)).free })),
    ),
    hub: typeof access === 'string' ? access : await hubState(access),
    engines,
  };
  progress.clear();
  process.stdout.write(json ? `${JSON.stringify(diagnosis, null, 2)}\n` : formatDiagnosis(diagnosis));
  if (!engines.some(({ probe }) => probe.kind === 'works')) process.exitCode = 1;
}

/** Whether the hub answers, and with whose rights. */
async function hubState({ hubUrl, offline, token }: HubAccess): Promise<string> {
  const rights = token === undefined ? 'no token' : `token from ${token.from}`;
  if (offline) return `not asked, HF_HUB_OFFLINE is set; ${rights}`;
  try {
    const { status } = await fetch(hubUrl, { method: 'HEAD', signal: AbortSignal.timeout(5000) });
    return `${hubUrl} ${status < 500 ? 'can be reached' : `answers with ${status}`}; ${rights}`;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer in 5 seconds';
    return `${hubUrl} cannot be reached (${code}), so models have to be on this machine; ${rights}`;
  }
}
