import { describe, expect, it } from 'vitest';
import { createFlowEuler } from '../../../samplers/flow-euler.ts';
import { float32, toFloat32, type Tensor } from '../../../src/graph/tensor.ts';
import type { Predictor } from '../../../src/models/predict-velocity.ts';
import { parseSanaTransformerConfig } from '../../../src/models/sana-transformer-config.ts';
import { denoise, initialNoise } from '../../../src/pipeline/denoise.ts';

const config = parseSanaTransformerConfig(
  {
    in_channels: 1,
    num_attention_heads: 1,
    attention_head_dim: 4,
    num_cross_attention_heads: 1,
    cross_attention_head_dim: 4,
    cross_attention_dim: 4,
    timestep_scale: 0.5,
  },
  'config.json',
);
const solver = createFlowEuler({ steps: 2, shift: 1 });
const prompt = { promptEmbeds: float32([2, 1], [1, 1]) }; // two tokens of 1
const negativePrompt = { promptEmbeds: float32([1, 1], [-1]) };

/** Predicts the first text value of each sample everywhere, and remembers what it was given. */
function recordingPredictor(): {
  readonly predictor: Predictor;
  readonly calls: { shape: readonly number[]; mask: number[]; timesteps: readonly number[] }[];
} {
  const calls: { shape: readonly number[]; mask: number[]; timesteps: readonly number[] }[] = [];
  const predictor: Predictor = {
    predict({ shape }, { promptEmbeds, promptAttentionMask, timesteps }) {
      calls.push({ shape, mask: [...toFloat32(promptAttentionMask ?? float32([0], []))], timesteps });
      const [batch = 1, ...rest] = shape;
      const size = rest.reduce((product, side) => product * side, 1);
      const texts = toFloat32(promptEmbeds);
      const data = Float32Array.from(
        { length: batch * size },
        (_, i) => texts[Math.floor(i / size) * (texts.length / batch)] ?? 0,
      );
      return Promise.resolve(float32(shape, data));
    },
    dispose: () => Promise.resolve(),
  };
  return { predictor, calls };
}

function run(
  latents: Tensor,
  options: Partial<Parameters<typeof denoise>[0]> = {},
): ReturnType<typeof recordingPredictor> & { readonly result: Promise<Tensor> } {
  const { predictor, calls } = recordingPredictor();
  const result = denoise({ predictor, config, solver, prompt, negativePrompt, latents, guidanceScale: 4, ...options });
  return { predictor, calls, result };
}

describe('denoise', () => {
  it('predicts the negative prompt and the prompt in one run, and guides from the first to the second', async () => {
    const { result, calls } = run(float32([1, 1, 1, 2], [10, 20]));
    // u + w (c - u) = -1 + 4 (1 + 1) = 7, over a whole way from sigma 1 to 0
    expect(await result).toBeAllclose(float32([1, 1, 1, 2], [3, 13]));
    expect(calls.map(({ shape }) => shape)).toEqual([
      [2, 1, 1, 2],
      [2, 1, 1, 2],
    ]);
    expect(calls[0]?.mask).toEqual([1, 0, 1, 1]);
  });

  it("tells the model the solver's timestep times timestep_scale", async () => {
    const { result, calls } = run(float32([1, 1, 1, 1], [0]));
    await result;
    const [first = 0, second = 0] = solver.timesteps;
    expect(calls.map(({ timesteps }) => timesteps)).toEqual([
      [first / 2, first / 2],
      [second / 2, second / 2],
    ]);
  });

  it('predicts the prompt alone where guidance does not act', async () => {
    const latents = float32([1, 1, 1, 1], [10]);
    const unguided = run(latents, { guidanceScale: 1 });
    expect(await unguided.result).toBeAllclose([9]);
    expect(unguided.calls.map(({ mask }) => mask)).toEqual([
      [1, 1],
      [1, 1],
    ]);

    const within = run(latents, { guidanceInterval: [0, 0.9] });
    await within.result;
    expect(within.calls.map(({ shape }) => shape[0])).toEqual([1, 2]);
  });

  it('takes two runs for large latents, to the same result', async () => {
    const latents = float32([1, 1, 1, 4097], new Float32Array(4097).fill(10));
    const { result, calls } = run(latents);
    expect(toFloat32(await result)[4096]).toBeCloseTo(3, 4);
    expect(calls.map(({ mask }) => mask)).toEqual([[1], [1, 1], [1], [1, 1]]);
  });

  it('ends between two steps when it is told to', async () => {
    const controller = new AbortController();
    const steps: number[] = [];
    const { result } = run(float32([1, 1, 1, 1], [0]), {
      signal: controller.signal,
      onStep: (done) => {
        steps.push(done);
        controller.abort(new Error('stopped'));
      },
    });
    await expect(result).rejects.toThrow('stopped');
    expect(steps).toEqual([1]);
  });

  it('says at which step the numbers ended', async () => {
    const { result } = run(float32([1, 1, 1, 1], [Number.NaN]));
    await expect(result).rejects.toThrow('no longer finite after step 1 of 2');
  });
});

describe('initialNoise', () => {
  it('depends on the seed and the size alone', () => {
    expect(initialNoise(3, [1, 2, 2, 2])).toEqual(initialNoise(3, [1, 2, 2, 2]));
    expect(initialNoise(3, [1, 2, 2, 2])).not.toEqual(initialNoise(4, [1, 2, 2, 2]));
  });
});
