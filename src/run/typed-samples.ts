import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { TrainEvent } from '../events.ts';
import { writeJson } from '../io/atomic-write.ts';
import { plainText } from '../log/plain-text.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import type { Params } from '../optim/optimizer.ts';
import { cachePrompts, promptOf } from './fill-cache.ts';
import { makeSamples, type RunSampler, runSamples, type SamplePlace } from './run-samples.ts';

/** The file that keeps typed prompts in order, so that one typed again goes on where its pictures are. */
const typedFile = 'samples/typed.json';

/** Typed prompts count from here on, so that a config that gets more prompts does not take their places. */
const firstTyped = 1000;

/** The prompts that were typed in a run; what is no list of texts counts as none. */
async function typedPrompts(runDir: string): Promise<readonly string[]> {
  try {
    const value: unknown = JSON.parse(await readFile(join(runDir, typedFile), 'utf8'));
    return Array.isArray(value) && value.every((text) => typeof text === 'string') ? value : [];
  } catch {
    return [];
  }
}

/**
 * Makes pictures of texts that a person typed, with the size, seed and steps of the run's other samples:
 * `samples/typed-1/step-000040.png` and so on. What goes wrong with them is told, and is no reason to end a run.
 */
export async function* sampleTyped(
  sampler: RunSampler,
  texts: readonly string[],
  step: number,
  modules: AdaptedModules,
  parameters: Params,
  signal?: AbortSignal,
): AsyncGenerator<TrainEvent> {
  const { runDir, engine, pipeline, cache, models, config, samples } = sampler;
  try {
    const known = await typedPrompts(runDir);
    const wanted = new Set(texts.map((text) => plainText(text).trim()).filter((text) => text !== ''));
    const all = [...new Set([...known, ...wanted])];
    if (all.length > known.length) await writeJson(join(runDir, typedFile), all);
    const places = [...wanted].flatMap((text): readonly SamplePlace[] => {
      const place = all.indexOf(text);
      const path = `samples/typed-${place + 1}/step-${String(step).padStart(6, '0')}.png`;
      const index = Math.max(firstTyped, samples.length) + place;
      return runSamples(
        { ...config, prompts: [], num_images_per_prompt: 1 },
        pipeline,
        pipeline.defaultSize,
        [text],
        [],
      )
        .slice(0, 1)
        .map((request) => ({ index, request, path }));
    });
    const prompts = places.flatMap(({ request: { prompt, negativePrompt } }) => [
      promptOf(prompt, false, models),
      promptOf(negativePrompt, true, models),
    ]);
    const stage = { engine, cache, models, ...(signal && { signal }) };
    yield* cachePrompts(prompts, { ...stage, loadEncoder: pipeline.loadPromptEncoder });
    yield* makeSamples(sampler, step, modules, parameters, signal, places);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    yield { kind: 'warning', message: `No picture of the prompt that was typed: ${reason}` };
  }
}
