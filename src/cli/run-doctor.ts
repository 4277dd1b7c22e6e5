import { spawn } from 'node:child_process';
import { arch, availableParallelism, cpus, platform, release } from 'node:os';

import { z } from 'zod';

import { defaultCacheDir } from '../config/paths.ts';
import { UserError } from '../errors.ts';
import { type HubAccess, hubAccess } from '../hub/hub-access.ts';
import { thisMachine } from '../run/preflight.ts';
import { type Diagnosis, type Finding, formatDiagnosis } from './format-diagnosis.ts';
import type { EngineName, Probe } from './probe-engine.ts';
import { createProgressLine } from './progress-line.ts';
import { version } from './version.ts';

/** The options of `sana-train doctor`. */
export interface DoctorOptions {
  readonly json?: boolean;
  /** What the command asks of itself, in a process of its own: `list`, or an engine and a name with a colon between. */
  readonly probe?: string;
}

/** Looks what this machine has, tries every engine, and prints what was found. */
export async function runDoctor({ json = false, probe }: DoctorOptions): Promise<void> {
  if (probe !== undefined) {
    const { listEngines, probeEngine } = await import('./probe-engine.ts');
    const [engine, name = ''] = probe.split(/:(.*)/s);
    const answer =
      probe === 'list' ? await listEngines() : await probeEngine(engine === 'tfjs' ? 'tfjs' : 'onnxruntime', name);
    process.stdout.write(`${answerMark}${JSON.stringify(answer)}\n`);
    return;
  }
  const progress = createProgressLine(process.stderr);
  progress.show('looking for engines');
  const listed = await ask('list', engineList);
  const engines: Finding[] = [];
  for (const one of 'failure' in listed ? [] : listed.answer) {
    progress.show(`trying ${one.engine} ${one.name}`);
    const tried = await ask(`${one.engine}:${one.name}`, probeAnswer);
    const probe: Probe = 'failure' in tried ? { kind: 'fails', reason: tried.failure } : tried.answer;
    engines.push({ ...one, probe });
  }
  if ('failure' in listed) {
    engines.push({
      engine: 'onnxruntime',
      name: 'cpu',
      probe: { kind: 'fails', reason: listed.failure },
    });
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

/** Before the answer: libraries print what they like. */
const answerMark = '\u0002sana-train ';

const engineList: z.ZodType<readonly EngineName[]> = z.array(
  z.object({ engine: z.enum(['onnxruntime', 'tfjs']), name: z.string() }),
);
const probeAnswer: z.ZodType<Probe> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('works'), gigaflops: z.number(), seconds: z.number() }),
  // NaN is null in JSON.
  z.object({ kind: z.literal('wrong'), error: z.number().nullable() }),
  z.object({ kind: z.literal('fails'), reason: z.string() }),
]);

/** Asks this program, started once more: a library that ends its process, or never comes back, does not end this one. */
function ask<T>(
  probe: string,
  schema: z.ZodType<T>,
  limit = 120_000,
): Promise<{ readonly answer: T } | { readonly failure: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', 'doctor', '--probe', probe], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limit,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', ({ message }) => resolve({ failure: message }));
    child.on('close', (code, signal) => {
      const line = stdout.split('\n').find((text) => text.startsWith(answerMark));
      if (line !== undefined) resolve({ answer: schema.parse(JSON.parse(line.slice(answerMark.length))) });
      else if (signal === 'SIGKILL') resolve({ failure: `it did not come back within ${limit / 1000} seconds` });
      else {
        const said =
          stderr
            .trim()
            .split('\n')
            .find((text) => /error/i.test(text)) ??
          stderr.trim().split('\n')[0] ??
          '';
        resolve({
          failure: `it ended its process (${signal ?? `exit code ${code}`})${said === '' ? '' : `: ${said}`}`,
        });
      }
    });
  });
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
