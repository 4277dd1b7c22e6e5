import type { TrainConfig } from '../config/schema.ts';
import type { OptimizerOptions } from '../optim/create-optimizer.ts';

/** The config's optimizer with its settings, by the names that the code has for them. */
export function optimizerOptions(config: TrainConfig['optimizer']): OptimizerOptions {
  switch (config.name) {
    case 'adamw':
      return { name: 'adamw', betas: config.betas, eps: config.eps, weightDecay: config.weight_decay };
    case 'prodigy':
      return {
        name: 'prodigy',
        betas: config.betas,
        eps: config.eps,
        weightDecay: config.weight_decay,
        decouple: config.decouple,
        useBiasCorrection: config.use_bias_correction,
        safeguardWarmup: config.safeguard_warmup,
        d0: config.d0,
        dCoef: config.d_coef,
        ...(config.beta3 !== null && { beta3: config.beta3 }),
        ...(config.growth_rate !== null && { growthRate: config.growth_rate }),
      };
    case 'came':
      return {
        name: 'came',
        betas: config.betas,
        eps: config.eps,
        clipThreshold: config.clip_threshold,
        weightDecay: config.weight_decay,
      };
    case 'lion':
      return { name: 'lion', betas: config.betas, weightDecay: config.weight_decay };
    case 'adafactor':
      return {
        name: 'adafactor',
        eps: config.eps,
        clipThreshold: config.clip_threshold,
        decayRate: config.decay_rate,
        weightDecay: config.weight_decay,
        scaleParameter: config.scale_parameter,
        relativeStep: config.relative_step,
        warmupInit: config.warmup_init,
        ...(config.beta1 !== null && { beta1: config.beta1 }),
      };
  }
}
