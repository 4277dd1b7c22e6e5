import { adapterOptions } from '../config/options.ts';
import type { Config } from '../config/schema.ts';
import { type AdaptedModules, adaptedModules } from '../lora/adapter-config.ts';
import { startFrom, type StartingAdapter } from '../lora/start-from.ts';
import { sanaModules, type SanaTransformerConfig } from '../models/sana-transformer-config.ts';

/**
 * The layers that a config adapts.
 * @throws UserError for layers that the model does not have
 */
export function adapterModules({ lora }: Pick<Config, 'lora'>, transformer: SanaTransformerConfig): AdaptedModules {
  return adaptedModules(sanaModules(transformer), adapterOptions(lora));
}

/** The adapter that a config goes on from (lora.init_from), whose layers, ranks and scales count then. */
export async function startingAdapter(
  { lora }: Pick<Config, 'lora'>,
  transformer: SanaTransformerConfig,
): Promise<StartingAdapter | undefined> {
  const { init_from: path, rslora, dropout } = lora;
  return path === null ? undefined : await startFrom(path, sanaModules(transformer), { rslora, dropout });
}
