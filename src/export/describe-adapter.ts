import type { ImportedAdapter } from '../lora/formats/read-any-adapter.ts';
import { baseName } from '../lora/formats/infer-modules.ts';
import type { AdaptedModule } from '../lora/adapter-config.ts';
import { isUnscaled } from '../lora/lycoris.ts';
import { moduleDelta, squaredNorm } from '../lora/module-delta.ts';
import { type FrontendVerdict, frontendVerdicts } from './frontends.ts';

/** What an adapter's file holds, for people and programs. */
export interface AdapterDescription {
  readonly format: string;
  readonly kinds: readonly string[];
  readonly base: string;
  readonly modules: number;
  readonly parameters: number;
  readonly ranks: readonly number[];
  readonly scales: readonly number[];
  /** How many layers of each kind are adapted, such as attn1.to_q. */
  readonly targets: Readonly<Record<string, number>>;
  /** The size (Frobenius norm) of what is added, by block; what lies outside the blocks is `other`. */
  readonly norms: Readonly<Record<string, number>>;
  readonly frontends: readonly FrontendVerdict[];
  readonly notices: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
}

const formatNames = {
  diffusers: 'diffusers',
  unprefixed: "diffusers' names without a prefix (OneTrainer)",
  peft: 'peft',
  comfyui: "ComfyUI (NVlabs' names)",
  kohya: "kohya, diffusers' names",
  'kohya-native': "kohya, NVlabs' names",
  lycoris: 'LyCORIS',
} as const;

/** Describes an adapter. Norms of layers of a very high rank, as LoHa's can be, take seconds. */
export function describeAdapter(adapter: ImportedAdapter): AdapterDescription {
  const { modules, tensors, spellings, kinds, base, notices, metadata } = adapter;
  const sorted = (values: Iterable<number>): number[] => [...new Set(values)].sort((a, b) => a - b);
  const targets: Record<string, number> = {};
  const squares = new Map<string, number>();
  for (const name of modules.keys()) {
    const [, layer, target = name] = /^transformer_blocks\.(\d+)\.(.+)$/.exec(name) ?? [];
    targets[target] = (targets[target] ?? 0) + 1;
    const block = layer ?? 'other';
    squares.set(block, (squares.get(block) ?? 0) + squaredNorm(moduleDelta(adapter, name)));
  }
  const blocks = [...squares].sort(([a], [b]) => (a === 'other' ? 1 : b === 'other' ? -1 : Number(a) - Number(b)));
  return {
    format: spellings.map((spelling) => formatNames[spelling]).join(' and '),
    kinds,
    base: baseName(base.width, base.layers),
    modules: modules.size,
    parameters: [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0),
    ranks: sorted([...modules.values()].map(rankOf)),
    scales: sorted([...modules.values()].map(({ scale }) => Number(scale.toPrecision(6)))),
    targets,
    norms: Object.fromEntries(
      blocks.map(([block, square]) => [block === 'other' ? block : `block ${block}`, Math.sqrt(square)]),
    ),
    frontends: frontendVerdicts(adapter),
    notices,
    metadata,
  };
}

/** A layer's rank; of a LoKr of whole matrices, which has none, that of its product. */
function rankOf({ rank, lycoris }: AdaptedModule): number {
  if (lycoris?.kind !== 'lokr' || !isUnscaled(lycoris)) return rank;
  const { one, two } = lycoris;
  return Math.min(one.rows, one.columns) * Math.min(two.rows, two.columns);
}

const bar = 30;

/** A description as text: facts, a bar for each block, and what each program does with the file. */
export function formatDescription(path: string, description: AdapterDescription): string {
  const { format, kinds, base, modules, parameters, ranks, scales, targets, norms, frontends, notices, metadata } =
    description;
  const shown = (values: readonly number[]): string =>
    values.length > 6 ? `${values[0]} to ${values.at(-1)}` : values.join(', ');
  const kindNames: Readonly<Record<string, string>> = { lora: 'LoRA', dora: 'DoRA', lokr: 'LoKr', loha: 'LoHa' };
  const facts: readonly (readonly [string, string])[] = [
    ['format', format],
    ['kind', kinds.map((kind) => kindNames[kind] ?? kind).join(' and ')],
    ['base', base],
    [
      'layers',
      `${modules}: ${Object.entries(targets)
        .map(([target, count]) => `${count} ${target}`)
        .join(', ')}`,
    ],
    ['rank', shown(ranks)],
    ['scale', `${shown(scales)} (alpha / rank)`],
    ['parameters', parameters.toLocaleString('en-US')],
  ];
  const largest = Math.max(...Object.values(norms), Number.MIN_VALUE);
  const width = Math.max(...Object.keys(norms).map((name) => name.length));
  const lines = [
    `${path}: an adapter of ${base}`,
    '',
    ...facts.map(([name, value]) => `  ${name.padEnd(10)}  ${value}`),
    '',
    'what it adds, by block (Frobenius norm)',
    ...Object.entries(norms).map(
      ([name, norm]) =>
        `  ${name.padEnd(width)}  ${'█'.repeat(Math.round((bar * norm) / largest)).padEnd(bar)}  ${norm.toPrecision(3)}`,
    ),
    '',
    'programs',
    ...frontends.map(({ program, verdict, reason }) => {
      const what = { loads: 'loads it', changed: 'changes it', fails: 'does not load it' }[verdict];
      return `  ${program.padEnd(24)}  ${what}${reason === undefined ? '' : `: ${reason}`}`;
    }),
  ];
  if (notices.length > 0) lines.push('', ...notices);
  const keys = Object.keys(metadata);
  if (keys.length > 0) {
    const keyWidth = Math.max(...keys.map((key) => key.length));
    lines.push('', 'metadata', ...keys.map((key) => `  ${key.padEnd(keyWidth)}  ${clip(metadata[key] ?? '')}`));
  }
  return `${lines.join('\n')}\n`;
}

/** A text for a terminal: on one line, without control characters, and not as long as a picture. */
function clip(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
  return plain.length > 160 ? `${plain.slice(0, 160)}… (${plain.length} characters)` : plain;
}
