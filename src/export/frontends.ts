import { magnitudesKey } from '../lora/formats/comfyui-magnitudes.ts';
import type { ImportedAdapter } from '../lora/formats/read-any-adapter.ts';

/** Whether a program loads a file, and why not. */
export interface FrontendVerdict {
  readonly program: string;
  /** `changed`: it loads, and not as it was trained. */
  readonly verdict: 'loads' | 'changed' | 'fails';
  /** Why not, or what changes. */
  readonly reason?: string;
}

const exportAs = (format: string): string => `export it with --format ${format}`;

/** What each program that runs Sana does with an adapter's file; from reading and running them (docs/adapters.md). */
export function frontendVerdicts(adapter: ImportedAdapter): readonly FrontendVerdict[] {
  const { spellings, kinds, hasAlphas, header, modules, notices, metadata } = adapter;
  const only = (...names: readonly string[]): boolean => spellings.every((spelling) => names.includes(spelling));
  const isLora = kinds.every((kind) => kind === 'lora' || kind === 'dora');
  const scaled = [...modules.values()].some(({ scale }) => Math.abs(scale - 1) > 1e-6);
  const ranks = new Set([...modules.values()].map(({ rank }) => rank));
  const hasExtras = notices.some((notice) => notice.includes('are left out'));

  let failure: string | undefined;
  if (!only('diffusers')) failure = `the names are not its own, and it would load nothing; ${exportAs('diffusers')}`;
  else if (!isLora) failure = `it loads LoRA and DoRA alone; ${exportAs('diffusers')}`;
  else if (hasAlphas) failure = `.alpha tensors fail its load; ${exportAs('diffusers')}`;
  else if (hasExtras) failure = `tensors that it does not know fail its load; ${exportAs('diffusers')}`;
  const diffusers = (program: string, isOld: boolean): FrontendVerdict => {
    if (failure !== undefined) return { program, verdict: 'fails', reason: failure };
    if (isOld && ((header && scaled) || ranks.size > 1)) {
      const reason = `it ignores ${scaled ? 'alpha' : 'that ranks differ'}; export it with --format diffusers --fold-alpha`;
      return { program, verdict: 'changed', reason };
    }
    return { program, verdict: 'loads' };
  };
  const verdict = (program: string, loads: boolean, reason: string): FrontendVerdict =>
    loads ? { program, verdict: 'loads' } : { program, verdict: 'fails', reason };

  return [
    diffusers('diffusers 0.34 and later', false),
    diffusers('diffusers 0.32 and 0.33', true),
    diffusers('SD.Next', false),
    kinds.includes('dora') && only('comfyui', 'kohya-native') && metadata[magnitudesKey] === undefined
      ? {
          program: 'ComfyUI (ExtraModels)',
          verdict: 'changed',
          reason: `it divides a DoRA by the lengths of the model's own rows; ${exportAs('comfyui')} and the --model`,
        }
      : verdict(
          'ComfyUI (ExtraModels)',
          only('comfyui', 'kohya-native'),
          `it looks for NVlabs' names and would load nothing; ${exportAs('comfyui')}`,
        ),
    header && scaled && only('diffusers') && isLora
      ? {
          program: 'OneTrainer',
          verdict: 'changed',
          reason: `it has scales from .alpha tensors and not from the header; ${exportAs('kohya')}`,
        }
      : verdict(
          'OneTrainer',
          only('diffusers', 'unprefixed', 'kohya') && isLora,
          `it reads LoRA by diffusers' names; ${exportAs(isLora ? 'kohya' : 'diffusers')}`,
        ),
    verdict(
      'SimpleTuner',
      (only('diffusers') && failure === undefined) || only('lycoris'),
      `it reads diffusers' file, or LyCORIS' own; ${exportAs('diffusers')}`,
    ),
    only('lycoris') && scaled && !isLora
      ? {
          program: 'LyCORIS',
          verdict: 'changed',
          reason: `its merge_to multiplies LoKr and LoHa by alpha / rank twice (4.1.3); ${exportAs('lycoris')}`,
        }
      : verdict('LyCORIS', only('lycoris'), `it reads its own names; ${exportAs('lycoris')}`),
    verdict('peft', only('peft') && adapter.path.endsWith('adapter_model.safetensors'), 'it reads its own folders'),
    { program: 'nunchaku', verdict: 'fails', reason: `it loads no adapter on Sana; ${exportAs('merged')}` },
  ];
}
