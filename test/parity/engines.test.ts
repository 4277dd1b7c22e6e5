import path from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../src/engine/onnxruntime.ts';
import { createTfjsEngine } from '../../src/engine/tfjs.ts';
import { float32, type Tensor, toFloat32 } from '../../src/graph/tensor.ts';
import { createTrainingStep } from '../../src/lora/training-step.ts';
import { createDcAe, loadDcAe } from '../../src/models/dc-ae.ts';
import { encodePrompts } from '../../src/models/encode-prompts.ts';
import { loadGemma2 } from '../../src/models/gemma2.ts';
import { loadTokenizer } from '../../src/text/tokenizer.ts';
import { inputOf, type ParityCase, readCases, readTensors } from '../../tools/parity/cases.ts';
import { adapterOf, parametersOf } from '../../tools/parity/kinds/lora-grad.ts';
import { batchOf, transformerOf } from '../../tools/parity/pipeline.ts';
import { plainTfjs } from '../plain-tfjs.ts';

// The default engine computes what diffusers computes (parity.test.ts); here the others compute what it computes.
const reference = createOnnxruntimeEngine();
const engines = {
  tfjs: createTfjsEngine({ tf: plainTfjs, backend: 'cpu' }),
  'onnxruntime without com.microsoft': createOnnxruntimeEngine({ dialect: { contribOps: false } }),
};
afterAll(async () => {
  for (const engine of [reference, ...Object.values(engines)]) await engine.close();
});

const goldens = path.join(import.meta.dirname, 'goldens');

async function caseOf(variant: string, name: string): Promise<ParityCase> {
  const folder = path.join(goldens, variant);
  const entry = (await readCases(folder)).find((one) => one.name === name);
  if (!entry) throw new Error(`${folder} has no case ${name}`);
  const inputs = entry.inputs === undefined ? new Map<string, Tensor>() : await readTensors(folder, entry.inputs);
  return { ...entry, inputs, folder, expectedNames: [] };
}

/** Relative to the largest element, as float32's errors are. */
function expectClose(actual: Tensor | undefined, expected: Tensor): void {
  const largest = toFloat32(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(actual).toBeAllclose(expected, { rtol: 0, atol: 1e-4 * largest });
}

describe.each(Object.entries(engines))(
  'through %s',
  (_, engine) => {
    it.each([
      ['plain', 'lora_all_r3_a6_grad', false],
      ['plain', 'lora_all_r3_a6_grad', true],
      ['affine', 'lora_attention_r4_a8_dora_grad', false],
    ])('the %s model has the same loss and gradients: %s, checkpointing %s', async (variant, name, checkpointing) => {
      const parityCase = await caseOf(variant, name);
      const model = await transformerOf(parityCase);
      const adapter = await adapterOf(parityCase);
      const [expected, actual] = await Promise.all(
        [reference, engine].map(async (one) => {
          const step = await createTrainingStep(one, model, adapter.modules, { gradientCheckpointing: checkpointing });
          const result = await step.run(batchOf(parityCase, model), parametersOf(adapter));
          await step.dispose();
          return result;
        }),
      );
      if (!expected || !actual) throw new Error('no result');
      expectClose(float32([], [actual.loss]), float32([], [expected.loss]));
      expect(actual.gradients.size).toBeGreaterThan(10);
      for (const [parameter, gradient] of expected.gradients) expectClose(actual.gradients.get(parameter), gradient);
    });

    it('the autoencoder gives the same picture', async () => {
      const { folder, inputs } = await caseOf('plain', 'dcae_decode_1x32x32');
      const files = await loadDcAe(path.join(folder, 'pipeline', 'vae'));
      const [expected, actual] = await Promise.all(
        [reference, engine].map((one) => createDcAe(one, files).decode(inputOf(inputs, 'latent'))),
      );
      if (!expected) throw new Error('no picture');
      expectClose(actual, expected);
    });

    it('the text encoder gives the same embeddings', async () => {
      const pipeline = path.join(goldens, 'plain', 'pipeline');
      const tokenizer = await loadTokenizer(path.join(pipeline, 'tokenizer'));
      const textEncoder = await loadGemma2(path.join(pipeline, 'text_encoder'));
      const [expected, actual] = await Promise.all(
        [reference, engine].map((one) => encodePrompts(one, { tokenizer, textEncoder }, ['a red square'], {})),
      );
      const [first, second] = [expected?.[0], actual?.[0]];
      if (!first || !second) throw new Error('no embeddings');
      expectClose(second.promptEmbeds, first.promptEmbeds);
    });
  },
  60_000,
);
