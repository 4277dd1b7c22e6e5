import { type RandomModel, randomModel } from './random-model.ts';

/** The shape of a transformer to make up. */
export type RandomTransformer = Omit<Extract<RandomModel, { readonly kind: 'transformer' }>, 'kind'>;

/** A transformer's folder with random weights; see randomModel. */
export function randomTransformer(model: RandomTransformer): Promise<string> {
  return randomModel({ kind: 'transformer', ...model });
}
