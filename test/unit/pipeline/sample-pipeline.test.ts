import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { openPipeline } from '../../../src/pipeline/open-pipeline.ts';
import {
  samplePipeline,
  type SampledPicture,
  type SamplePipelineOptions,
  type SampleProgress,
} from '../../../src/pipeline/sample-pipeline.ts';

// Written by tools/goldens/parity_cases.py; test/parity compares pictures with diffusers'.
const golden = fileURLToPath(new URL('../../parity/goldens/plain', import.meta.url));
const adapter = `${golden}/lora_all_r3_a6.adapter.safetensors`;
const pipeline = await openPipeline(`${golden}/pipeline`);
const engine = createOnnxruntimeEngine({ threads: 1 });
afterAll(() => engine.close());

async function sample(options: Omit<SamplePipelineOptions, 'engine' | 'pipeline'>): Promise<readonly SampledPicture[]> {
  const pictures: SampledPicture[] = [];
  const common = { engine, pipeline, steps: 3, chi: null, maxSequenceLength: 20 };
  for await (const picture of samplePipeline({ ...common, ...options })) pictures.push(picture);
  return pictures;
}

describe('samplePipeline', () => {
  it('makes the same picture of a prompt whatever else it makes', async () => {
    const [, second] = await sample({ prompts: ['a cat', { prompt: 'a dog', seed: 7 }] });
    const [alone] = await sample({ prompts: ['a dog'], seed: 7 });
    expect(second?.image.shape).toEqual([1, 3, 32, 32]);
    expect(second?.image).toBeAllclose(alone?.image ?? [], { atol: 1e-6 });
    expect(Math.max(...(alone?.image.data ?? []))).toBeLessThanOrEqual(1);
    expect(Math.min(...(alone?.image.data ?? []))).toBeGreaterThanOrEqual(0);
  });

  it('takes width and height for what they are, and reports what it does', async () => {
    const progress: SampleProgress[] = [];
    const [picture] = await sample({
      prompts: ['a cat'],
      width: 16,
      height: 8,
      onProgress: (state) => progress.push(state),
    });
    expect(picture?.image.shape).toEqual([1, 3, 8, 16]);
    expect([...new Set(progress.map(({ stage }) => stage))]).toEqual(['text', 'denoise', 'decode']);
    expect(progress).toContainEqual({ stage: 'denoise', index: 0, done: 2, total: 3 });
  });

  it('applies adapters at their scales: none at 0, opposite ones to nothing', async () => {
    const prompts = ['a cat'];
    const [base] = await sample({ prompts });
    const [none] = await sample({ prompts, adapters: [{ adapter, scale: 0 }] });
    const [adapted] = await sample({ prompts, adapters: [{ adapter }] });
    const [cancelled] = await sample({
      prompts,
      adapters: [
        { adapter, scale: 0.5 },
        { adapter, scale: -0.5 },
      ],
    });
    expect(none?.image).toBeAllclose(base?.image ?? [], { atol: 1e-5 });
    expect(cancelled?.image).toBeAllclose(base?.image ?? [], { atol: 1e-4 });
    expect(adapted?.image).not.toBeAllclose(base?.image ?? [], { atol: 1e-2 });
  });

  it('says how much of a prompt was lost', async () => {
    const [picture] = await sample({ prompts: ['many words '.repeat(20)] });
    expect(picture?.truncated).toBeGreaterThan(0);
  });

  it.each<[string, Partial<SamplePipelineOptions>, string]>([
    ['no prompt', { prompts: [] }, 'There is no prompt; name at least one.'],
    ['a size that is no multiple', { width: 30 }, 'The width is 30 pixels; use a multiple of 4, such as 32.'],
    ['a size of nothing', { height: 0 }, 'The height is 0 pixels; use a multiple of 4, such as 4.'],
    ['no steps', { steps: 0 }, 'The number of steps is 0; use a whole number from 1 (14 to 20 are usual).'],
    ['a scale that is no number', { adapters: [{ adapter, scale: Number.NaN }] }, "An adapter's scale is NaN;"],
    ['a shift of 0', { flowShift: 0 }, 'The flow shift is 0; use a number above 0 (3 is usual).'],
    ['an interval upside down', { guidanceInterval: [0.9, 0.1] }, 'The guidance interval is 0.9 to 0.1;'],
  ])('refuses %s', async (_, options, message) => {
    await expect(sample({ prompts: ['a cat'], ...options })).rejects.toThrow(message);
  });
});
