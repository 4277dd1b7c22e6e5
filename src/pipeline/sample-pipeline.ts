import { solverFromConfig } from '../../samplers/solver-from-config.ts';
import type { SolverName } from '../../samplers/solver.ts';
import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { readAnyAdapter } from '../lora/formats/read-any-adapter.ts';
import { scaleAdapter } from '../lora/scale-adapter.ts';
import { createDcAe } from '../models/dc-ae.ts';
import { encodePrompts, negativePrompt, type EncodedPrompt } from '../models/encode-prompts.ts';
import { createPredictor } from '../models/predict-velocity.ts';
import { sanaModules } from '../models/sana-transformer-config.ts';
import { chiLines, type ChiName } from '../text/chi.ts';
import { decodePicture } from './decode-picture.ts';
import { denoise, initialNoise } from './denoise.ts';
import type { SanaPipeline } from './open-pipeline.ts';
import {
  completeRequest,
  latentShape,
  type CompleteRequest,
  type PictureRequest,
  type PictureSettings,
} from './picture-request.ts';

/** An adapter, or a file of one, and how strongly it acts. */
export interface AdapterChoice {
  readonly adapter: string | Adapter;
  /** Times the adapter's own scale. @default 1 */
  readonly scale?: number;
}

/** How far a run has come. */
export interface SampleProgress {
  readonly stage: 'text' | 'denoise' | 'decode';
  /** The picture, from 0; of `text`, which is done for all at once, always 0. */
  readonly index: number;
  /** Steps of the stage for this picture; of `text` a measure of work. */
  readonly done: number;
  readonly total: number;
}

/** What to sample; settings of pictures here are for all that do not say otherwise. */
export interface SamplePipelineOptions extends PictureSettings {
  readonly engine: Engine;
  readonly pipeline: SanaPipeline;
  readonly prompts: readonly (string | PictureRequest)[];
  /** Any number of adapters, which act together. */
  readonly adapters?: readonly AdapterChoice[];
  /** @default the model's own */
  readonly solver?: SolverName;
  /** The shift of the noise levels. @default the model's own */
  readonly flowShift?: number;
  /** The instruction before every prompt (CHI), by name or as lines; null is none. @default 'diffusers' */
  readonly chi?: ChiName | readonly string[] | null;
  /** Tokens of a prompt that the model sees. @default 300 */
  readonly maxSequenceLength?: number;
  readonly onProgress?: (progress: SampleProgress) => void;
  /** Ends the run at the next step, by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A picture that was made. */
export interface SampledPicture {
  /** Which of the prompts it is of. */
  readonly index: number;
  /** [1, 3, height, width], 0 to 1 */
  readonly image: Tensor & { readonly data: Float32Array };
  /** What it was made with. */
  readonly request: CompleteRequest;
  readonly solver: SolverName;
  /** Tokens of the prompt's end that did not fit and were lost. */
  readonly truncated: number;
  /** For its steps and its decoding, without what all pictures share. */
  readonly seconds: number;
}

/**
 * From prompts to pictures, as diffusers' SanaPipeline computes them (without resolution binning: sizes are taken as
 * given). One big part is in memory at a time: the text encoder for all prompts, then the transformer for all pictures,
 * then the autoencoder, which yields them one by one, in the prompts' order.
 * @throws UserError when the settings, the model or an adapter are not what they should be
 */
export async function* samplePipeline(options: SamplePipelineOptions): AsyncGenerator<SampledPicture> {
  const { engine, pipeline, prompts, onProgress, signal } = options;
  checkModel(pipeline);
  if (prompts.length === 0) throw new UserError('There is no prompt; name at least one.');
  const requests = prompts.map((prompt) => completeRequest(pipeline, pictureSettings(options), prompt));
  const solvers = requests.map(({ steps }) => solverOf(options, steps));
  const adapters = await readAdapters(options);

  const encoded = await encodeRequests(options, requests);
  const latents = await denoiseRequests();
  const vae = createDcAe(engine, await pipeline.loadVae(), pipeline.vaeOptions);
  try {
    for (const [index, request] of requests.entries()) {
      signal?.throwIfAborted();
      const { sample, seconds = 0 } = latents.shift() ?? {};
      const solver = solvers[index];
      if (!sample || !solver) throw new RangeError(`samplePipeline: no latents of picture ${index}`);
      const start = performance.now();
      onProgress?.({ stage: 'decode', index, done: 0, total: 1 });
      const image = await decodePicture(vae, sample);
      onProgress?.({ stage: 'decode', index, done: 1, total: 1 });
      yield {
        index,
        image,
        request,
        solver: solver.name,
        truncated: encoded[index]?.prompt.truncated ?? 0,
        seconds: seconds + (performance.now() - start) / 1000,
      };
    }
  } finally {
    await vae.dispose();
  }

  async function denoiseRequests(): Promise<{ readonly sample: Tensor; readonly seconds: number }[]> {
    const predictor = await createPredictor(
      engine,
      await pipeline.loadTransformer(),
      adapters.map(({ modules }) => modules),
    );
    try {
      const done: { readonly sample: Tensor; readonly seconds: number }[] = [];
      for (const [index, request] of requests.entries()) {
        const start = performance.now();
        const [solver, texts] = [solvers[index], encoded[index]];
        if (!solver || !texts) throw new RangeError(`samplePipeline: no text of picture ${index}`);
        onProgress?.({ stage: 'denoise', index, done: 0, total: request.steps });
        const sample = await denoise({
          predictor,
          adapters: adapters.map(({ tensors }) => tensors),
          config: pipeline.transformerConfig,
          solver,
          ...texts,
          latents: request.latents ?? initialNoise(request.seed, latentShape(pipeline, request)),
          guidanceScale: request.guidanceScale,
          ...(request.guidanceInterval && { guidanceInterval: request.guidanceInterval }),
          onStep: (step) => onProgress?.({ stage: 'denoise', index, done: step, total: request.steps }),
          ...(signal && { signal }),
        });
        done.push({ sample, seconds: (performance.now() - start) / 1000 });
      }
      return done;
    } finally {
      await predictor.dispose();
    }
  }
}

/** The settings of pictures among the options. */
function pictureSettings({
  negativePrompt,
  seed,
  width,
  height,
  steps,
  guidanceScale,
  guidanceInterval,
  latents,
}: SamplePipelineOptions): PictureSettings {
  return {
    ...(negativePrompt !== undefined && { negativePrompt }),
    ...(seed !== undefined && { seed }),
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    ...(steps !== undefined && { steps }),
    ...(guidanceScale !== undefined && { guidanceScale }),
    ...(guidanceInterval && { guidanceInterval }),
    ...(latents && { latents }),
  };
}

function solverOf(
  { pipeline: { scheduler }, solver, flowShift }: SamplePipelineOptions,
  steps: number,
): ReturnType<typeof solverFromConfig> {
  if (flowShift !== undefined && !(flowShift > 0 && Number.isFinite(flowShift))) {
    throw new UserError(`The flow shift is ${flowShift}; use a number above 0 (3 is usual).`);
  }
  const choice = { steps, ...(solver && { solver }), ...(flowShift !== undefined && { shift: flowShift }) };
  return solverFromConfig(scheduler.config, choice, scheduler.path);
}

function checkModel({
  folder,
  transformerConfig: { guidance_embeds: isGuided, in_channels: c, out_channels: out },
}: SanaPipeline): void {
  if (isGuided) {
    throw new UserError(
      `${folder}: the transformer has guidance embeddings, as Sana-Sprint has, which needs a sampler of its own; use another Sana.`,
    );
  }
  if (out !== null && out !== c && out !== 2 * c) {
    throw new UserError(
      `${folder}: the transformer makes ${out} channels of ${c}; as many, or twice as many, expected.`,
    );
  }
}

/** The adapters at their scales. */
async function readAdapters({ pipeline, adapters = [] }: SamplePipelineOptions): Promise<readonly Adapter[]> {
  const modules = sanaModules(pipeline.transformerConfig);
  const read: Adapter[] = [];
  for (const { adapter, scale = 1 } of adapters) {
    read.push(scaleAdapter(typeof adapter === 'string' ? await readAnyAdapter(adapter, modules) : adapter, scale));
  }
  return read;
}

interface EncodedRequest {
  readonly prompt: EncodedPrompt;
  readonly negativePrompt: EncodedPrompt;
}

/** The embeddings of each request's prompt and negative prompt, in one pass over the text encoder. */
async function encodeRequests(
  options: SamplePipelineOptions,
  requests: readonly CompleteRequest[],
): Promise<readonly EncodedRequest[]> {
  const { engine, pipeline, chi = 'diffusers', maxSequenceLength, onProgress, signal } = options;
  const texts = [
    ...requests.map(({ prompt }) => prompt),
    ...requests.map((request) => negativePrompt(request.negativePrompt)),
  ];
  const encoded = await encodePrompts(engine, await pipeline.loadPromptEncoder(), texts, {
    chi: typeof chi === 'string' ? chiLines[chi] : chi,
    ...(maxSequenceLength !== undefined && { maxSequenceLength }),
    ...(onProgress && { onProgress: (progress) => onProgress({ stage: 'text', index: 0, ...progress }) }),
    ...(signal && { signal }),
  });
  return requests.map((_, i) => {
    const [prompt, negative] = [encoded[i], encoded[requests.length + i]];
    if (!prompt || !negative) throw new RangeError(`samplePipeline: no text of picture ${i}`);
    return { prompt, negativePrompt: negative };
  });
}
