import { UserError } from '../errors.ts';
import type { SanaModule } from '../models/sana-transformer-config.ts';
import type { Params } from '../optim/optimizer.ts';
import type { AdaptedModules } from './adapter-config.ts';
import { readAnyAdapter } from './formats/read-any-adapter.ts';

/** An adapter that a training goes on from. */
export interface StartingAdapter {
  readonly modules: AdaptedModules;
  readonly parameters: Params;
  /** What the user should know of it, in sentences. */
  readonly notices: readonly string[];
}

/**
 * Reads an adapter of any format to train on. Which layers it has, their ranks and scales are the file's.
 * @param options.rslora how the alphas are to be said; the scales stay
 * @throws UserError when it cannot be read, or only some of its layers have magnitudes
 */
export async function startFrom(
  path: string,
  model: ReadonlyMap<string, SanaModule>,
  { rslora, dropout }: { readonly rslora: boolean; readonly dropout: number },
): Promise<StartingAdapter> {
  const { modules, tensors, notices } = await readAnyAdapter(path, model);
  const doras = new Set([...modules.values()].map(({ dora }) => dora));
  if (doras.size > 1) {
    throw new UserError(`${path} has magnitudes (DoRA) in some layers only, which cannot be trained; use another.`);
  }
  const ranks = [...new Set([...modules.values()].map(({ rank }) => rank))].sort((a, b) => a - b);
  return {
    modules: new Map(
      [...modules].map(([name, module]) => {
        const alpha = module.scale * (rslora && !module.lycoris ? Math.sqrt(module.rank) : module.rank);
        return [name, { ...module, alpha, dropout }];
      }),
    ),
    parameters: tensors,
    notices: [
      ...notices,
      `lora.init_from: ${modules.size} layers of rank ${ranks.join(', ')}${doras.has(true) ? ', with magnitudes' : ''}; the file's layers, ranks and scales are trained, whatever else lora says.`,
    ],
  };
}
