import { classifierFreeGuidance } from '../samplers/guidance.ts';
import type { Solver } from '../samplers/solver.ts';
import { createOnnxruntimeEngine } from '../src/engine/onnxruntime.ts';
import { float32, toFloat32 } from '../src/graph/tensor.ts';
import { encodePrompts, negativePrompt, padPromptEmbeds } from '../src/models/encode-prompts.ts';
import { stackTensors } from '../src/models/sana-feeds.ts';
import { createPredictor } from '../src/models/predict-velocity.ts';
import { initialNoise } from '../src/pipeline/denoise.ts';
import { openPipeline } from '../src/pipeline/open-pipeline.ts';
import { latentShape } from '../src/pipeline/picture-request.ts';
import { chiLines } from '../src/text/chi.ts';
import { basePrompts } from '../tools/pico-score/world.ts';

/** The same prompts and noise for every solver. */
export interface SolverStudy {
  /** Latents of all prompts, one after the other. */
  denoise(solver: Solver): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Prompts that go through the transformer at a time, each of them twice for guidance. */
const perRun = 16;

/** Opens a pipeline's folder on the first prompts of pico:score, with the noise of their seeds. */
export async function openSolverStudy(
  folder: string,
  { prompts: count, guidanceScale }: { readonly prompts: number; readonly guidanceScale: number },
): Promise<SolverStudy> {
  const engine = createOnnxruntimeEngine();
  const pipeline = await openPipeline(folder);
  const scenes = basePrompts(count);
  const texts = [...scenes.map(({ prompt }) => prompt), negativePrompt()];
  const encoded = await encodePrompts(engine, await pipeline.loadPromptEncoder(), texts, { chi: chiLines.diffusers });
  const uncond = encoded.at(-1);
  if (!uncond) throw new RangeError('openSolverStudy: no text was encoded');
  const shape = latentShape(pipeline, { width: pipeline.defaultSize, height: pipeline.defaultSize });
  const chunks = Array.from({ length: Math.ceil(count / perRun) }, (_, i) => {
    const own = encoded.slice(i * perRun, Math.min(count, (i + 1) * perRun));
    const noise = stackTensors(
      scenes.slice(i * perRun, i * perRun + own.length).map(({ seed }) => initialNoise(seed, shape)),
    );
    return { noise, batch: padPromptEmbeds([...own.map(() => uncond), ...own]) };
  });
  const predictor = await createPredictor(engine, await pipeline.loadTransformer());

  async function denoiseChunk(solver: Solver, { noise, batch }: (typeof chunks)[number]): Promise<Float32Array> {
    const [size = 1, ...rest] = noise.shape;
    let sample = toFloat32(noise);
    let state = solver.initialState;
    for (const [i, timestep] of solver.timesteps.entries()) {
      const twice = new Float32Array(2 * sample.length);
      twice.set(sample);
      twice.set(sample, sample.length);
      const timesteps = Array<number>(2 * size).fill(timestep * pipeline.transformerConfig.timestep_scale);
      const out = toFloat32(await predictor.predict(float32([2 * size, ...rest], twice), { ...batch, timesteps }));
      const velocity = classifierFreeGuidance(
        out.subarray(sample.length),
        out.subarray(0, sample.length),
        guidanceScale,
      );
      ({ sample, state } = solver.step(velocity, i, sample, state));
    }
    return sample;
  }

  return {
    async denoise(solver) {
      const parts: Float32Array[] = [];
      for (const chunk of chunks) parts.push(await denoiseChunk(solver, chunk));
      const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
      let offset = 0;
      for (const part of parts) {
        all.set(part, offset);
        offset += part.length;
      }
      return all;
    },
    async close() {
      await predictor.dispose();
      await engine.close();
    },
  };
}

/**
 * How far latents are from converged ones: the root of the mean squared difference, over the standard deviation of the
 * converged ones; over all pictures, which a few that became others decide, and of the median picture.
 */
export function relativeDistance(
  latents: Float32Array,
  converged: Float32Array,
  pictures: number,
): { readonly all: number; readonly median: number } {
  const mean = converged.reduce((sum, x) => sum + x, 0) / converged.length;
  const spread = converged.reduce((sum, x) => sum + (x - mean) ** 2, 0) / converged.length;
  const size = converged.length / pictures;
  const errors = Array.from({ length: pictures }, (_, picture) => {
    let error = 0;
    for (let i = picture * size; i < (picture + 1) * size; i++) error += ((latents[i] ?? 0) - (converged[i] ?? 0)) ** 2;
    return error / size;
  });
  const sorted = errors.toSorted((a, b) => a - b);
  const all = errors.reduce((sum, error) => sum + error, 0) / pictures;
  return { all: Math.sqrt(all / spread), median: Math.sqrt((sorted[pictures >> 1] ?? Number.NaN) / spread) };
}
