import { describe, expect, it } from 'vitest';
import { defaultFlowShift } from '../../../src/flow/default-flow-shift.ts';
import { addNoise, flowTarget, lossWeight } from '../../../src/flow/objective.ts';
import { shiftSigma, trainSigmas } from '../../../src/flow/sigmas.ts';
import { createTimestepSampler, sampleDensity, timestepSamplings } from '../../../src/flow/timestep-sampling.ts';
import { createRandom } from '../../../src/random.ts';

describe('shiftSigma', () => {
  it('keeps 0 and 1 and moves the middle towards noise', () => {
    expect([0, 0.5, 1].map((sigma) => shiftSigma(sigma, 3))).toEqual([0, 0.75, 1]);
    expect(shiftSigma(0.3, 1)).toBe(0.3);
  });
});

describe('trainSigmas', () => {
  it('falls from 1 to the shifted thousandth', () => {
    const { sigmas, timesteps } = trainSigmas(3);
    expect(sigmas.length).toBe(1000);
    expect([sigmas[0], timesteps[0]]).toEqual([1, 1000]);
    expect(sigmas[999]).toBeCloseTo(0.003 / 1.002, 8);
    expect(timesteps[500]).toBeCloseTo(750, 4);
    expect(sigmas.every((sigma, i) => i === 0 || sigma < (sigmas[i - 1] ?? 0))).toBe(true);
  });
});

describe('createTimestepSampler', () => {
  it('draws as Sana was trained: with shift 3 the median sigma is .75 and 1.4% of draws lie below .25', () => {
    const draw = createTimestepSampler({ sampling: 'sana', flowShift: 3 });
    const random = createRandom(0);
    const sigmas = Array.from({ length: 40_000 }, () => draw(random).sigma).toSorted((a, b) => a - b);
    expect(sigmas[20_000]).toBeCloseTo(0.75, 2);
    expect(sigmas.filter((sigma) => sigma < 0.25).length / 40_000).toBeCloseTo(0.014, 2);
  });

  it('draws from the grid of a thousandth', () => {
    const draw = createTimestepSampler({ sampling: 'sana', flowShift: 1 });
    const random = createRandom(1);
    for (let i = 0; i < 100; i++) {
      const { timestep } = draw(random);
      expect(timestep).toBeCloseTo(Math.round(timestep), 3);
    }
  });

  it.each(timestepSamplings.map((sampling) => ({ sampling })))(
    '$sampling stays in [0, 1], tells the model 1000 sigma and repeats from its seed',
    ({ sampling }) => {
      const draw = createTimestepSampler({ sampling, flowShift: 4, modeScale: 3, logitStd: 5 });
      const [first, second] = [createRandom(2), createRandom(2)];
      for (let i = 0; i < 300; i++) {
        const { sigma, timestep } = draw(first);
        expect(sigma).toBeGreaterThanOrEqual(0);
        expect(sigma).toBeLessThanOrEqual(1);
        expect(timestep).toBe(Math.fround(1000 * sigma));
        expect(draw(second)).toEqual({ sigma, timestep });
      }
    },
  );
});

describe('sampleDensity', () => {
  it('is uniform for the schemes that only weight the loss', () => {
    for (const scheme of ['none', 'sigma_sqrt', 'cosmap'] as const) {
      expect(sampleDensity(scheme, createRandom(3))).toBe(createRandom(3).uniform());
    }
  });

  it('moves with logitMean and narrows with logitStd', () => {
    const options = { logitMean: 2, logitStd: 1e-9 };
    expect(sampleDensity('logit_normal', createRandom(4), options)).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
  });

  it('is 1 - u for mode without a scale', () => {
    const u = createRandom(5).uniform();
    expect(sampleDensity('mode', createRandom(5), { modeScale: 0 })).toBe(1 - u);
  });
});

describe('lossWeight', () => {
  it('weights by the scheme, and Sana not at all', () => {
    expect(lossWeight('sigma_sqrt', 0.5)).toBe(4);
    expect(lossWeight('cosmap', 0.5)).toBeCloseTo(4 / Math.PI, 12);
    for (const scheme of ['sana', 'none', 'logit_normal', 'mode'] as const) expect(lossWeight(scheme, 0.1)).toBe(1);
  });
});

describe('addNoise', () => {
  it('mixes each example with its own sigma', () => {
    const noisy = addNoise(Float32Array.of(1, 2, 3, 4), Float32Array.of(10, 20, 30, 40), [0, 0.25], [2, 1, 2]);
    expect(noisy).toEqual(Float32Array.of(1, 2, 9.75, 13));
  });

  it('says what does not fit', () => {
    expect(() => addNoise(new Float32Array(4), new Float32Array(4), [0.5], [2, 2])).toThrow('got 4, 4 and 1');
  });
});

describe('flowTarget', () => {
  it('is noise - latents', () => {
    expect(flowTarget(Float32Array.of(1, 2), Float32Array.of(5, -1))).toEqual(Float32Array.of(4, -3));
  });
});

describe('defaultFlowShift', () => {
  it.each([
    { width: 1152, resolution: 512, qkNorm: false, shift: 3 },
    { width: 1152, resolution: 1024, qkNorm: false, shift: 4 },
    { width: 2240, resolution: 512, qkNorm: false, shift: 3 },
    { width: 2240, resolution: 1024, qkNorm: false, shift: 3 },
    { width: 2240, resolution: 2048, qkNorm: false, shift: 3 },
    { width: 2240, resolution: 4096, qkNorm: false, shift: 6 },
    { width: 2240, resolution: 1024, qkNorm: true, shift: 3 },
  ])('is $shift for width $width at $resolution px, qkNorm $qkNorm', ({ shift, ...options }) => {
    expect(defaultFlowShift(options)).toBe(shift);
  });
});
