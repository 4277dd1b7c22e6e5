import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { type EngineName, excluded, type Probe } from './probe-engine.ts';

const probeSchema: z.ZodType<Probe> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('works'), gigaflops: z.number(), seconds: z.number() }),
  z.object({ kind: z.literal('wrong'), error: z.number().nullable() }),
  z.object({ kind: z.literal('fails'), reason: z.string() }),
]);

/** Seconds after which an engine that is tried is given up. */
const PATIENCE = 120;

/** Tries an engine in a process of its own: one that ends it, or never comes back, does no other harm. */
export function tryEngine(
  name: EngineName,
  start: (name: EngineName) => ReturnType<typeof fork> = startProbe,
): Promise<Probe> {
  const reason = excluded(name);
  if (reason !== undefined) return Promise.resolve({ kind: 'fails', reason });
  return new Promise((resolve) => {
    const child = start(name);
    let stderr = '';
    const fails = (text: string): void => resolve({ kind: 'fails', reason: text });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fails(`The engine ${name} did not come back within ${PATIENCE} seconds; use another, or its newest driver.`);
    }, PATIENCE * 1000);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('message', (message) => resolve(probeSchema.parse(message)));
    child.on('error', ({ message }) => fails(message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const lines = stderr.trim().split('\n');
      const said = lines.find((text) => /error/i.test(text)) ?? lines[0] ?? '';
      const how = `${signal ?? `exit code ${code}`}${said === '' ? '' : `: ${said.slice(0, 200)}`}`;
      fails(`The engine ${name} ended its process (${how}); use another.`);
    });
  });
}

function startProbe(name: EngineName): ReturnType<typeof fork> {
  const source = import.meta.url;
  const isSource = source.endsWith('.ts');
  const path = fileURLToPath(new URL(`./probe-process.${isSource ? 'ts' : 'js'}`, source));
  return fork(path, [name], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // The TypeScript loader, where this runs from its sources.
    ...(isSource && { execArgv: ['--import', import.meta.resolve('tsx')] }),
  });
}
