import { UserError } from '../errors.ts';
import type { Adapter } from './adapter-file.ts';

/**
 * An adapter at another strength, as peft's set_scale (diffusers' set_adapters) has it: the factor of B A is multiplied.
 * LoRA is linear in it and 0 is the base model. DoRA is neither: its magnitudes act whatever the scale is.
 * @throws UserError when the scale is no number
 */
export function scaleAdapter({ modules, tensors }: Adapter, scale: number): Adapter {
  if (!Number.isFinite(scale))
    throw new UserError(`An adapter's scale is ${scale}; use a number such as 0.8 (1 is as it was trained).`);
  if (scale === 1) return { modules, tensors };
  return {
    modules: new Map([...modules].map(([name, module]) => [name, { ...module, scale: module.scale * scale }])),
    tensors,
  };
}
