import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { classPrompts } from '../config/class-prompts.ts';
import type { SourceConfig } from '../config/schema.ts';
import type { Engine } from '../engine/engine.ts';
import type { TrainEvent } from '../events.ts';
import { writeText } from '../io/atomic-write.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';
import { writePicture } from '../pipeline/picture-file.ts';
import { samplePipeline } from '../pipeline/sample-pipeline.ts';

/** How class pictures are made. */
export interface ClassPictureOptions {
  readonly engine: Engine;
  readonly pipeline: SanaPipeline;
  readonly folder: string;
  readonly chi: readonly string[] | null;
  readonly maxSequenceLength: number;
  /** Side in pixels. */
  readonly size: number;
  readonly signal?: AbortSignal;
}

const pictureName = /\.(png|jpe?g|webp|avif|tiff?|gif)$/i;

/**
 * Makes the class pictures of DreamBooth's prior preservation that a folder lacks (arXiv 2208.12242, section 3.3): what
 * the model itself paints for the class prompts by turns, each picture with a seed of its own, so that an interrupted run
 * goes on. Where there are several prompts, each picture's is in a .txt file beside it.
 */
export async function* makeClassPictures(
  source: Pick<SourceConfig, 'class_prompt' | 'num_class_images'>,
  { engine, pipeline, folder, chi, maxSequenceLength, size, signal }: ClassPictureOptions,
): AsyncGenerator<TrainEvent> {
  const prompts = classPrompts(source);
  if (prompts.length === 0) return;
  const wanted = source.num_class_images;
  const promptOf = (seed: number): string => prompts[seed % prompts.length] ?? '';
  await mkdir(folder, { recursive: true });
  const names = new Set((await readdir(folder)).filter((name) => pictureName.test(name)));
  const seeds: number[] = [];
  for (let seed = 0; names.size + seeds.length < wanted; seed++) if (!names.has(nameOf(seed))) seeds.push(seed);
  if (seeds.length === 0) return;
  const what = 'class pictures';
  yield { kind: 'stage', stage: 'sample', done: 0, total: seeds.length, what };
  // In portions: each holds its latents in memory until they are decoded.
  const portion = 16;
  for (let start = 0; start < seeds.length; start += portion) {
    const own = seeds.slice(start, start + portion);
    const pictures = samplePipeline({
      engine,
      pipeline,
      prompts: own.map((seed) => ({ prompt: promptOf(seed), seed, width: size, height: size })),
      chi,
      maxSequenceLength,
      ...(signal && { signal }),
    });
    for await (const { index, image } of pictures) {
      const seed = own[index] ?? 0;
      const path = join(folder, nameOf(seed));
      // The caption first: a picture without it would be taken for one of the first prompt.
      if (prompts.length > 1) await writeText(path.replace(/png$/, 'txt'), `${promptOf(seed)}\n`);
      await writePicture(path, image, { Description: promptOf(seed) });
      yield { kind: 'stage', stage: 'sample', done: start + index + 1, total: seeds.length, what };
    }
  }
}

function nameOf(seed: number): string {
  return `class-${String(seed).padStart(5, '0')}.png`;
}
