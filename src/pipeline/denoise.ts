import { classifierFreeGuidance, guidanceActs, type GuidanceInterval } from '../../samplers/guidance.ts';
import type { Solver } from '../../samplers/solver.ts';
import { UserError } from '../errors.ts';
import { elementCount, float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { padPromptEmbeds, type EncodedPrompt, type PromptBatch } from '../models/encode-prompts.ts';
import type { AdapterTensors, Predictor } from '../models/predict-velocity.ts';
import type { SanaTransformerConfig } from '../models/sana-transformer-config.ts';
import { createRandom } from '../random.ts';

// C latent channels, H W latent size.

/** What the transformer sees of a prompt. */
export type PromptEmbeds = Pick<EncodedPrompt, 'promptEmbeds'>;

/** What latents are made from. */
export interface DenoiseOptions {
  readonly predictor: Predictor;
  /** The tensors of each adapter that the predictor was compiled with. @default none */
  readonly adapters?: readonly AdapterTensors[];
  readonly config: SanaTransformerConfig;
  readonly solver: Solver;
  readonly prompt: PromptEmbeds;
  /** What guidance leads away from; needed where `guidanceScale` is above 1. */
  readonly negativePrompt?: PromptEmbeds;
  /** Noise [1, C, H, W]. */
  readonly latents: Tensor;
  /** Up to 1 there is no guidance, as in diffusers. */
  readonly guidanceScale: number;
  /** Noise levels between which guidance acts. @default all */
  readonly guidanceInterval?: GuidanceInterval;
  /** Called after each step with the number of steps done. */
  readonly onStep?: (done: number) => void;
  /** Ends the run between two steps, by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/** With more image tokens than this (a picture of 2048 px), guidance takes two runs instead of one of twice the memory. */
const maxTokensOfPair = 4096;

/**
 * The noise that a seed stands for: it depends on the seed and the size alone, so that a prompt gets the same picture
 * whatever is sampled beside it.
 * @param shape [1, C, H, W]
 */
export function initialNoise(seed: number, shape: readonly number[]): Tensor {
  return float32(shape, createRandom(seed).normals(elementCount(shape)));
}

/**
 * From noise to latents [1, C, H, W]: the loop of SanaPipeline.__call__ (diffusers,
 * pipelines/sana/pipeline_sana.py). The model is told timestep x timestep_scale.
 * @throws UserError when the numbers are no longer finite
 */
export async function denoise(options: DenoiseOptions): Promise<Tensor> {
  const { config, solver, latents, guidanceScale, guidanceInterval, prompt, negativePrompt, onStep, signal } = options;
  const { shape } = latents;
  const isGuided = guidanceScale > 1;
  if (isGuided && !negativePrompt)
    throw new RangeError(`denoise: a guidance scale of ${guidanceScale} needs a negative prompt`);
  const cond = padPromptEmbeds([prompt]);
  const uncond = negativePrompt && padPromptEmbeds([negativePrompt]);
  const inOneRun = elementCount(shape.slice(2)) / config.patch_size ** 2 <= maxTokensOfPair;
  const pair = negativePrompt && inOneRun ? padPromptEmbeds([negativePrompt, prompt]) : undefined;

  let sample = toFloat32(latents);
  let state = solver.initialState;
  for (const [i, timestep] of solver.timesteps.entries()) {
    signal?.throwIfAborted();
    const predict = (batch: PromptBatch): Promise<readonly Float32Array[]> =>
      predictVelocities(options, sample, timestep, batch);
    let velocity: Float32Array;
    if (uncond && isGuided && guidanceActs(solver.sigmas[i] ?? 0, guidanceInterval)) {
      const [away, towards] = pair ? await predict(pair) : [...(await predict(uncond)), ...(await predict(cond))];
      if (!away || !towards) throw new RangeError('denoise: two predictions expected');
      velocity = classifierFreeGuidance(towards, away, guidanceScale);
    } else {
      [velocity = new Float32Array()] = await predict(cond);
    }
    ({ sample, state } = solver.step(velocity, i, sample, state));
    if (!sample.every(Number.isFinite)) {
      throw new UserError(
        `The latents are no longer finite after step ${i + 1} of ${solver.timesteps.length}; the weights of the model or of an adapter are damaged, or the guidance scale (${guidanceScale}) or an adapter's scale is far too large.`,
      );
    }
    onStep?.(i + 1);
  }
  signal?.throwIfAborted();
  return float32(shape, sample);
}

/** The velocity of each prompt of a batch for the same noisy latents [1, C, H, W]. */
async function predictVelocities(
  { predictor, adapters, config, latents: { shape } }: DenoiseOptions,
  sample: Float32Array,
  timestep: number,
  { promptEmbeds, promptAttentionMask }: PromptBatch,
): Promise<readonly Float32Array[]> {
  const batch = promptEmbeds.shape[0] ?? 1;
  const hiddenStates = new Float32Array(batch * sample.length);
  for (let b = 0; b < batch; b++) hiddenStates.set(sample, b * sample.length);
  const timesteps = Array<number>(batch).fill(timestep * config.timestep_scale);
  const output = await predictor.predict(
    float32([batch, ...shape.slice(1)], hiddenStates),
    { promptEmbeds, promptAttentionMask, timesteps },
    adapters,
  );
  const data = toFloat32(output);
  // Of a model that also predicts a variance, diffusers takes the first half of the channels.
  const perSample = data.length / batch;
  return Array.from({ length: batch }, (_, b) => data.subarray(b * perSample, b * perSample + sample.length));
}
