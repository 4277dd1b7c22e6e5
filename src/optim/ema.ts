import { elementsOf, type Params } from './optimizer.ts';

/**
 * Moves an average of the parameters towards them, in place: average = d average + (1 - d) parameters, with
 * d = min(decay, (1 + step) / (10 + step)), diffusers' EMAModel warm-up, so that a short run's average has left its start.
 */
export function updateAverage(average: Params, parameters: Params, decay: number, step: number): void {
  const d = Math.min(decay, (1 + step) / (10 + step));
  for (const [name, { data: mean }] of average) {
    const values = elementsOf(parameters, name, mean.length);
    for (let i = 0; i < mean.length; i++) mean[i] = d * (mean[i] ?? 0) + (1 - d) * (values[i] ?? 0);
  }
}
