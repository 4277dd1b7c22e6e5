import { UserError } from '../errors.ts';
import type { SanaModule } from '../models/sana-transformer-config.ts';
import { flatten } from './formats/spellings.ts';
import {
  isUnscaled,
  type Loha,
  type Lokr,
  lokrOf,
  type LokrOptions,
  lycorisShapes,
  type LycorisPart,
} from './lycoris.ts';
import { compilePattern } from './module-pattern.ts';

/** How an adapter is built; names and meanings are peft's LoraConfig's, and LyCORIS' for its own. */
export interface AdapterConfig {
  readonly type: 'lora' | 'dora' | 'lokr' | 'loha';
  /** How a LoKr is cut. */
  readonly lokr?: LokrOptions;
  readonly rank: number;
  readonly alpha: number;
  /** Ranks of modules whose names a key matches (see `compilePattern`). */
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
  /** Names, or the ends of names after a dot, of the modules to adapt. */
  readonly targetModules: readonly string[];
  /** Divides alpha by the root of the rank instead of the rank (arXiv 2312.03732). */
  readonly rslora: boolean;
  /** Share of a module's inputs that its adapter does not see in a training step. */
  readonly dropout: number;
}

/** One module's share of an adapter. */
export interface AdaptedModule extends SanaModule {
  readonly rank: number;
  readonly alpha: number;
  /** What B A is multiplied by. */
  readonly scale: number;
  readonly dora: boolean;
  readonly dropout: number;
  /** How LyCORIS' adapters are put together; without it the module is LoRA or DoRA. */
  readonly lycoris?: Lokr | Loha;
}

/** The adapted modules by name, first layer to last. */
export type AdaptedModules = ReadonlyMap<string, AdaptedModule>;

function endsIn(name: string, key: string): boolean {
  return name === key || name.endsWith(`.${key}`);
}

/** What B A is multiplied by: alpha / rank, or alpha / sqrt(rank) for rank-stabilised LoRA. */
export function adapterScale(alpha: number, rank: number, rslora: boolean): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}

/**
 * The modules that a config adapts, with each one's rank and scale.
 * @throws UserError naming targets or keys of patterns that match no module, or a rank below 1
 */
export function adaptedModules(modules: ReadonlyMap<string, SanaModule>, config: AdapterConfig): AdaptedModules {
  const unused = config.targetModules.filter((target) => ![...modules.keys()].some((name) => endsIn(name, target)));
  if (unused.length > 0 || config.targetModules.length === 0) {
    throw new UserError(
      `lora.target_modules ${unused.length > 0 ? `has ${unused.join(', ')}, which no adapter can change` : 'is empty'}; use some of to_q, to_k, to_v, to_out.0, conv_inverted, conv_point.`,
    );
  }
  const targets = [...modules].filter(([name]) => config.targetModules.some((target) => endsIn(name, target)));
  const rankOf = compilePattern(config.rankPattern, 'lora.rank_pattern');
  const alphaOf = compilePattern(config.alphaPattern, 'lora.alpha_pattern');
  for (const [label, pattern] of Object.entries({ rank: config.rankPattern, alpha: config.alphaPattern })) {
    for (const [key, value] of Object.entries(pattern)) {
      const matches = compilePattern({ [key]: value }, `lora.${label}_pattern`);
      if (targets.some(([name]) => matches(name) !== undefined)) continue;
      throw new UserError(
        `lora.${label}_pattern has ${key}, which matches no layer that lora.target_modules adapts; use the end of a layer's name, such as attn2.to_k.`,
      );
    }
  }
  const adapted = new Map<string, AdaptedModule>();
  for (const [name, module] of targets) {
    const rank = rankOf(name) ?? config.rank;
    const alpha = alphaOf(name) ?? config.alpha;
    if (!Number.isInteger(rank) || rank < 1) {
      throw new UserError(`The rank of ${name} is ${rank}; use a whole number from 1 (4 to 64 are usual).`);
    }
    if (!Number.isFinite(alpha)) {
      throw new UserError(`The alpha of ${name} is ${alpha}; use a number, such as its rank, ${rank}.`);
    }
    const lycoris = lycorisOf(config, module, rank);
    // Of two whole matrices alpha says nothing.
    const scale = lycoris && isUnscaled(lycoris) ? 1 : adapterScale(alpha, rank, config.rslora);
    adapted.set(name, {
      ...module,
      rank,
      alpha,
      scale,
      dora: config.type === 'dora',
      dropout: config.dropout,
      ...(lycoris && { lycoris }),
    });
  }
  return adapted;
}

function lycorisOf({ type, lokr }: AdapterConfig, module: SanaModule, rank: number): Lokr | Loha | undefined {
  if (type === 'lokr') return lokrOf(module, rank, lokr);
  return type === 'loha' ? { kind: 'loha', rank } : undefined;
}

/** What one of a module's adapter tensors is. */
export type AdapterPart = 'lora_A' | 'lora_B' | 'lora_magnitude_vector' | LycorisPart;

/** The name of one of a module's adapter tensors in diffusers' adapter file, or in LyCORIS' own. */
export function parameterName(module: string, part: AdapterPart): string {
  if (part.startsWith('lokr_') || part.startsWith('hada_')) return `lycoris_${flatten(module)}.${part}`;
  return `transformer.${module}.${part}${part === 'lora_magnitude_vector' ? '' : '.weight'}`;
}

/** Shapes of a module's adapter tensors in the file: convolutions have their kernel's axes. */
export function parameterShapes(module: string, adapted: AdaptedModule): ReadonlyMap<string, readonly number[]> {
  const { inFeatures, outFeatures, kernel, rank, dora, lycoris } = adapted;
  if (lycoris) {
    return new Map(lycorisShapes(adapted, lycoris).map(([part, shape]) => [parameterName(module, part), shape]));
  }
  const conv = kernel !== undefined;
  const shapes = new Map<string, readonly number[]>([
    [parameterName(module, 'lora_A'), conv ? [rank, inFeatures, kernel, kernel] : [rank, inFeatures]],
    [parameterName(module, 'lora_B'), conv ? [outFeatures, rank, 1, 1] : [outFeatures, rank]],
  ]);
  if (dora) shapes.set(parameterName(module, 'lora_magnitude_vector'), conv ? [1, outFeatures, 1, 1] : [outFeatures]);
  return shapes;
}
