import { formatBytes } from '../io/format-bytes.ts';
import type { EngineName, Probe } from './probe-engine.ts';

/** An engine and what came of trying it. */
export interface Finding extends EngineName {
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
  const found = engines.map((one) => [
    one.engine === 'tfjs' ? one.name : `${one.engine} ${one.name}`,
    describeProbe(one),
  ]);
  const width = Math.max(...[...rows, ...found].map(([name = '']) => name.length));
  const table = (lines: readonly (readonly string[])[]): readonly string[] =>
    lines.map(([name = '', text = '']) => `  ${name.padEnd(width)}  ${text}`);
  return `${['this machine', ...table(rows), '', 'engines', ...table(found), '', advice(engines)].join('\n')}\n`;
}

function describeProbe({ engine, name, probe }: Finding): string {
  switch (probe.kind) {
    case 'works':
      return `works, ${Number(probe.gigaflops.toPrecision(2))} GFLOP/s in float32`;
    case 'wrong':
      return `gives wrong results (a product of matrices is ${probe.error === null ? 'not a number' : `off by ${probe.error.toPrecision(2)}`}): do not use it`;
    case 'fails': {
      if (engine === 'tfjs') {
        return /is not installed/.test(probe.reason) ? `not installed; npm install ${name} adds it` : probe.reason;
      }
      if (name === 'cuda' && /shared library/i.test(probe.reason)) {
        return `not installed; on Linux with an NVIDIA GPU, CUDA and cuDNN 9, this adds it: node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12`;
      }
      const remedy = remedies[name];
      return `does not work: ${plainReason(probe.reason)}${remedy === undefined ? '' : ` (${remedy})`}`;
    }
  }
}

/** An error of onnxruntime without the place in its sources. */
function plainReason(reason: string): string {
  const [line = ''] = reason
    .replace(/^onnxruntime: /, '')
    .trim()
    .split('\n');
  return line.replace(/^\/\S+:\d+ .* was false\. /, '').slice(0, 200);
}

const remedies: Readonly<Record<string, string>> = {
  cpu: 'install again; on Windows, the Visual C++ redistributable may be missing',
  webgpu: 'it takes a GPU with its driver, and on Linux the Vulkan loader, libvulkan1',
  dml: 'it takes a GPU with DirectX 12 and its driver',
};

/** What to write into a config. */
function advice(engines: readonly Finding[]): string {
  const working = engines.flatMap(({ engine, name, probe }) =>
    probe.kind === 'works' ? [{ engine, name, gigaflops: probe.gigaflops }] : [],
  );
  if (working.length === 0) return 'No engine works here, so nothing can be trained.';
  const best = working.reduce((a, b) => (b.gigaflops > a.gigaflops ? b : a));
  const setting = best.engine === 'tfjs' ? 'model.engine: tfjs' : `model.provider: ${best.name}`;
  return best.engine === 'onnxruntime' && best.name === 'cpu'
    ? `The processor is the fastest here: ${setting}, which is the default.`
    : `The fastest here is ${best.engine} ${best.name}: ${setting}.`;
}
