import path from 'node:path';
import { z } from 'zod';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { openPipeline } from '../../../src/pipeline/open-pipeline.ts';
import { samplePipeline } from '../../../src/pipeline/sample-pipeline.ts';
import { inputOf, type ParityCase } from '../cases.ts';
import { closeSharedEngine, sharedEngine } from '../pipeline.ts';

const paramsSchema = z.object({
  prompt: z.string(),
  negative_prompt: z.string(),
  guidance_scale: z.number(),
  num_inference_steps: z.number(),
  height: z.number(),
  width: z.number(),
  max_sequence_length: z.number(),
  complex_human_instruction: z.array(z.string()).nullable(),
  flow_shift: z.number(),
  adapter: z.string().nullable(),
});

/** The whole pipeline: from a prompt and noise to a picture in 0 to 1. */
export async function run({ params, inputs, folder }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const p = paramsSchema.parse(params);
  const pictures = samplePipeline({
    engine: sharedEngine(),
    pipeline: await openPipeline(path.join(folder, 'pipeline')),
    prompts: [p.prompt],
    negativePrompt: p.negative_prompt,
    guidanceScale: p.guidance_scale,
    steps: p.num_inference_steps,
    height: p.height,
    width: p.width,
    maxSequenceLength: p.max_sequence_length,
    chi: p.complex_human_instruction,
    flowShift: p.flow_shift,
    latents: inputOf(inputs, 'latents'),
    adapters: p.adapter === null ? [] : [{ adapter: path.join(folder, p.adapter) }],
  });
  const got = new Map<string, Tensor>();
  for await (const { image } of pictures) got.set('image', image);
  return got;
}

export const dispose = closeSharedEngine;
