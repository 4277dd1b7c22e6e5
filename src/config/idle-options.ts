import type { Finding, IsGiven } from './finding.ts';
import type { Config } from './schema.ts';

/** Options that were said, and do nothing because of another. */
export function* idleOptions(config: Config, isGiven: IsGiven): Generator<Finding> {
  const { caption, dataset, lora, model, sample, train } = config;
  const rules: readonly (readonly [section: string, options: readonly string[], isIdle: boolean, reason: string])[] = [
    ['model', ['engine_failure'], model.engine === 'cpu', 'with engine: cpu'],
    ['model', ['threads'], model.engine === 'tfjs', 'with engine: tfjs'],
    ['dataset', ['unmasked_weight'], dataset.sources.every(({ mask }) => mask === null), 'without a mask'],
    ['dataset', ['keep_tags'], dataset.sources.every(({ shuffle_tags }) => !shuffle_tags), 'without shuffle_tags'],
    ['caption', ['min_score', 'write_txt', 'nvlabs_files'], caption.captioners.length === 0, 'without captioners'],
    ['caption', ['clip_thr'], caption.selection !== 'clip_score_power', 'without selection: clip_score_power'],
    ['lora', ['factor', 'decompose_both', 'full_matrix'], lora.type !== 'lokr', 'without type: lokr'],
    ['lora', ['init'], lora.type === 'lokr' || lora.type === 'loha', `with type: ${lora.type}`],
    ['lora', ['decompose_both'], lora.full_matrix, 'with full_matrix: true'],
    ['train', ['ema_decay'], !train.use_ema, 'without use_ema: true'],
    [
      'train',
      ['logit_mean', 'logit_std'],
      train.weighting_scheme !== 'logit_normal',
      'without weighting_scheme: logit_normal',
    ],
    ['train', ['mode_scale'], train.weighting_scheme !== 'mode', 'without weighting_scheme: mode'],
    [
      'train',
      ['lr_num_cycles'],
      train.lr_scheduler !== 'cosine_with_restarts',
      'without lr_scheduler: cosine_with_restarts',
    ],
    ['train', ['lr_power', 'lr_end'], train.lr_scheduler !== 'polynomial', 'without lr_scheduler: polynomial'],
    [
      'train',
      ['lr_step_rules'],
      train.lr_scheduler !== 'piecewise_constant',
      'without lr_scheduler: piecewise_constant',
    ],
    [
      'train',
      ['learning_rate'],
      train.optimizer.name === 'adafactor' && train.optimizer.relative_step,
      "with adafactor's relative_step",
    ],
    ['train', ['checkpoints_total_limit'], train.checkpointing_steps === 0, 'with checkpointing_steps: 0'],
    [
      'train',
      ['validation_steps', 'validation_sigma_bins'],
      dataset.validation_count === 0,
      'without dataset.validation_count',
    ],
    [
      'sample',
      ['negative_prompt', 'guidance_interval'],
      sample.prompts.length > 0 && sample.prompts.every(({ guidance_scale }) => guidance_scale === 1),
      'with guidance_scale: 1',
    ],
    ['sample', ['at_start', 'prompts', 'clip_model'], sample.every === 0, 'with every: 0'],
    ['export', ['merged_layout'], !hasFormat(config, 'merged'), 'without merged in formats'],
    ['export', ['fold_alpha'], !hasFormat(config, 'diffusers'), 'without diffusers in formats'],
  ];
  for (const [section, options, isIdle, reason] of rules) {
    for (const option of isIdle ? options : []) {
      if (isGiven([section, option])) {
        yield { level: 'warning', paths: [[section, option]], message: `${section}.${option} does nothing ${reason}.` };
      }
    }
  }
}

/** Whether a run may write a format; `auto` is known when it is trained. */
function hasFormat({ export: { formats } }: Config, format: 'diffusers' | 'merged'): boolean {
  return formats === 'auto' ? format === 'diffusers' : formats.includes(format);
}
