import type { GuidanceInterval } from '../../samplers/guidance.ts';
import { UserError } from '../errors.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { SanaPipeline } from './open-pipeline.ts';

/** What may differ from picture to picture. */
export interface PictureSettings {
  /** What guidance leads away from. @default '' */
  readonly negativePrompt?: string;
  /** Names the noise that the picture starts from. @default 0 */
  readonly seed?: number;
  /** In pixels, a multiple of the pipeline's sizeMultiple. @default the pipeline's defaultSize */
  readonly width?: number;
  /** In pixels. @default the pipeline's defaultSize */
  readonly height?: number;
  /** Steps of the solver. @default 20 */
  readonly steps?: number;
  /** How strongly the prompt is followed; up to 1 there is no guidance. @default 4.5 */
  readonly guidanceScale?: number;
  /** Noise levels between which guidance acts. @default all */
  readonly guidanceInterval?: GuidanceInterval;
  /** Noise to start from [1, C, H, W] instead of the seed's. */
  readonly latents?: Tensor;
}

/** A picture to make. */
export interface PictureRequest extends PictureSettings {
  readonly prompt: string;
}

/** A picture to make with all settings decided. */
export type CompleteRequest = Required<Omit<PictureRequest, 'guidanceInterval' | 'latents'>> &
  Pick<PictureRequest, 'guidanceInterval' | 'latents'>;

/**
 * Fills in what a request leaves open, and checks it against the model.
 * @throws UserError for a size that the model cannot make, and for settings out of range
 */
export function completeRequest(
  pipeline: Pick<SanaPipeline, 'defaultSize' | 'sizeMultiple' | 'transformerConfig'>,
  common: PictureSettings,
  own: string | PictureRequest,
): CompleteRequest {
  const request = {
    negativePrompt: '',
    seed: 0,
    width: pipeline.defaultSize,
    height: pipeline.defaultSize,
    steps: 20,
    guidanceScale: 4.5,
    ...common,
    ...(typeof own === 'string' ? { prompt: own } : own),
  };
  const { width, height, steps, guidanceScale, guidanceInterval, seed, latents } = request;
  const { sizeMultiple: multiple } = pipeline;
  for (const [name, size] of Object.entries({ width, height })) {
    if (Number.isSafeInteger(size) && size > 0 && size % multiple === 0) continue;
    const nearest = Math.max(multiple, Math.round(size / multiple) * multiple || multiple);
    throw new UserError(`The ${name} is ${size} pixels; use a multiple of ${multiple}, such as ${nearest}.`);
  }
  if (!Number.isSafeInteger(steps) || steps < 1) {
    throw new UserError(`The number of steps is ${steps}; use a whole number from 1 (14 to 20 are usual).`);
  }
  if (!Number.isFinite(guidanceScale)) {
    throw new UserError(`The guidance scale is ${guidanceScale}; use a number (4.5 is usual, 1 is none).`);
  }
  if (!Number.isSafeInteger(seed)) throw new UserError(`The seed is ${seed}; use a whole number.`);
  if (guidanceInterval && !(guidanceInterval[0] < guidanceInterval[1])) {
    throw new UserError(
      `The guidance interval is ${guidanceInterval.join(' to ')}; name two noise levels from 0 to 1, the lower first.`,
    );
  }
  const shape = latentShape(pipeline, request);
  if (latents && latents.shape.join() !== shape.join()) {
    throw new RangeError(
      `samplePipeline: latents [${shape.join(', ')}] expected for ${width}x${height} px, got [${latents.shape.join(', ')}]`,
    );
  }
  return request;
}

/** [1, C, H, W] of a picture's latents. */
export function latentShape(
  { sizeMultiple, transformerConfig }: Pick<SanaPipeline, 'sizeMultiple' | 'transformerConfig'>,
  { width, height }: Pick<CompleteRequest, 'width' | 'height'>,
): readonly number[] {
  const factor = sizeMultiple / transformerConfig.patch_size;
  return [1, transformerConfig.in_channels, height / factor, width / factor];
}
