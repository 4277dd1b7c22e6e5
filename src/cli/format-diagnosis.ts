import { formatBytes } from '../io/format-bytes.ts';
import type { EngineName, Probe } from '../run/probe-engine.ts';

/** An engine and what came of trying it. */
export interface Finding {
  readonly engine: EngineName;
  readonly probe: Probe;
}

/** What is known of this machine. */
export interface Diagnosis {
  readonly version: string;
  readonly node: string;
  readonly system: string;
  readonly cores: number;
  readonly processor: string;
  readonly memory: number;
  readonly availableMemory: number;
  readonly folders: readonly { readonly name: string; readonly path: string; readonly free: number }[];
  /** Whether the hub can be reached, and with whose rights. */
  readonly hub: string;
  readonly engines: readonly Finding[];
}

/** A diagnosis as text for a terminal. */
export function formatDiagnosis(diagnosis: Diagnosis): string {
  const { cores, processor, memory, availableMemory, folders, hub, engines } = diagnosis;
  const rows = [
    ['sana-train', `${diagnosis.version}, Node ${diagnosis.node}, ${diagnosis.system}`],
    ['processor', `${cores} ${cores === 1 ? 'core' : 'cores'} (${processor})`],
    ['memory', `${formatBytes(memory)}, ${formatBytes(availableMemory)} free`],
    ...folders.map(({ name, path, free }) => [
      name,
      `${path}, ${Number.isFinite(free) ? formatBytes(free) : 'unknown'} free`,
    ]),
    ['hub', hub],
  ];
  const found = engines.map(({ engine, probe }) => [engine, describeProbe(probe)]);
  const width = Math.max(...[...rows, ...found].map(([name = '']) => name.length));
  const table = (lines: readonly (readonly string[])[]): readonly string[] =>
    lines.map(([name = '', text = '']) => `  ${name.padEnd(width)}  ${text}`);
  return `${['this machine', ...table(rows), '', 'engines', ...table(found), '', advice(engines)].join('\n')}\n`;
}

function describeProbe(probe: Probe): string {
  switch (probe.kind) {
    case 'works':
      return `works, ${Number(probe.gigaflops.toPrecision(2))} GFLOP/s in float32`;
    case 'wrong':
      return `gives wrong results (a product of matrices is ${probe.error === null ? 'not a number' : `off by ${probe.error.toPrecision(2)}`}): do not use it`;
    case 'fails':
      return probe.reason;
  }
}

/** What to write into a config. */
function advice(engines: readonly Finding[]): string {
  const working = engines.flatMap(({ engine, probe }) =>
    probe.kind === 'works' ? [{ engine, gigaflops: probe.gigaflops }] : [],
  );
  if (working.length === 0) return 'No engine works here, so nothing can be trained.';
  const { engine } = working.reduce((a, b) => (b.gigaflops > a.gigaflops ? b : a));
  return engine === 'cpu'
    ? 'The processor is the fastest here: model.engine: cpu, which is the default.'
    : `The fastest here is ${engine}: model.engine: ${engine}.`;
}
