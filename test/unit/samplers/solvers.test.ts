import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createFlowDpmSolver } from '../../../samplers/flow-dpm-solver.ts';
import { createFlowEuler } from '../../../samplers/flow-euler.ts';
import { createFlowUniPc } from '../../../samplers/flow-unipc.ts';
import { classifierFreeGuidance, guidanceActs } from '../../../samplers/guidance.ts';
import { solverFromConfig } from '../../../samplers/solver-from-config.ts';
import type { Solver } from '../../../samplers/solver.ts';
import { UserError } from '../../../src/errors.ts';

const numbers = z.array(z.number());
const golden = z
  .object({
    start: numbers,
    cases: z.array(
      z.object({
        config: z.record(z.string(), z.unknown()),
        steps: z.number(),
        timesteps: numbers,
        sigmas: numbers,
        path: z.array(numbers),
      }),
    ),
  })
  // Made by tools/goldens/solvers.py.
  .parse(JSON.parse(readFileSync(new URL('./goldens/solvers.json', import.meta.url), 'utf8')));

/** All samples from v(x, sigma) = sin(2x)(1 - sigma) + 0.3 x sigma - 0.2. */
function pathOf(solver: Solver, start: readonly number[]): number[][] {
  let sample: Float32Array = Float32Array.from(start);
  let state = solver.initialState;
  return Array.from(solver.timesteps, (_, i) => {
    const sigma = solver.sigmas[i] ?? 0;
    const velocity = sample.map((x) => Math.sin(2 * x) * (1 - sigma) + 0.3 * x * sigma - 0.2);
    ({ sample, state } = solver.step(velocity, i, sample, state));
    return [...sample];
  });
}

function label(config: Readonly<Record<string, unknown>>, steps: number): string {
  const {
    _class_name: name,
    solver_order: order,
    solver_type: type,
    flow_shift: flow,
    shift,
    lower_order_final,
  } = config;
  return [name, steps, flow ?? shift, order, type, lower_order_final]
    .filter((part) => part !== undefined)
    .map(String)
    .join(' ');
}

const sana = {
  _class_name: 'DPMSolverMultistepScheduler',
  algorithm_type: 'dpmsolver++',
  prediction_type: 'flow_prediction',
  use_flow_sigmas: true,
  flow_shift: 3,
  solver_order: 2,
};

describe('solverFromConfig', () => {
  it.each(golden.cases.map((entry) => ({ label: label(entry.config, entry.steps), ...entry })))(
    'computes what diffusers does: $label',
    ({ config, steps, timesteps, sigmas, path }) => {
      const solver = solverFromConfig(config, { steps });
      expect(solver.timesteps).toBeAllclose(timesteps, { rtol: 1e-6 });
      expect(solver.sigmas).toBeAllclose(sigmas, { rtol: 1e-6 });
      expect(pathOf(solver, golden.start).slice(0, path.length).flat()).toBeAllclose(path.flat(), {
        rtol: 0,
        atol: 5e-6,
      });
    },
  );

  it("takes the shift from the config where the caller names another solver, and the caller's where it is given", () => {
    const euler = solverFromConfig(sana, { steps: 4, solver: 'flow_euler' });
    expect(euler.sigmas).toEqual(createFlowEuler({ steps: 4, shift: 3 }).sigmas);
    const shifted = solverFromConfig(sana, { steps: 4, shift: 6 });
    expect(shifted.sigmas).toEqual(createFlowDpmSolver({ steps: 4, shift: 6 }).sigmas);
  });

  it.each([
    [{ algorithm_type: 'sde-dpmsolver++' }, 'algorithm_type is "sde-dpmsolver++"'],
    [{ prediction_type: 'epsilon' }, 'prediction_type is "epsilon"'],
    [{ prediction_type: undefined }, 'prediction_type is absent'],
    [{ final_sigmas_type: 'sigma_min' }, 'final_sigmas_type is "sigma_min"'],
    [{ use_karras_sigmas: true }, 'use_karras_sigmas is true'],
    [{ solver_order: 4 }, 'solver_order'],
    [{ _class_name: 'SCMScheduler' }, '_class_name is SCMScheduler'],
    [{ num_train_timesteps: 500 }, 'num_train_timesteps'],
  ])('refuses %j in a sentence that names the field', (change, message) => {
    const make = (): Solver => solverFromConfig({ ...sana, ...change }, { steps: 20 }, 'model/scheduler_config.json');
    expect(make).toThrow(UserError);
    expect(make).toThrow(`model/scheduler_config.json: ${message}`);
  });
});

describe('createFlowDpmSolver', () => {
  it('has the sigmas and whole timesteps of Sana at 20 steps and shift 3', () => {
    const { sigmas, timesteps } = createFlowDpmSolver({ steps: 20, shift: 3 });
    const some = [0, 1, 2, 3, 17, 18, 19, 20].map((i) => sigmas[i] ?? Number.NaN);
    expect(some).toBeAllclose([0.99967, 0.98242, 0.96394, 0.94409, 0.34589, 0.24979, 0.13624, 0], {
      rtol: 0,
      atol: 6e-6,
    });
    expect([...timesteps].every(Number.isInteger)).toBe(true);
    expect(timesteps[0]).toBe(999);
  });

  it('is exact for a model that knows the picture: x0 comes out whatever the steps', () => {
    const clean = [0.5, -1, 2];
    const solver = createFlowDpmSolver({ steps: 7, shift: 3 });
    let sample: Float32Array = Float32Array.of(1, 1, -1);
    let state = solver.initialState;
    solver.timesteps.forEach((_, i) => {
      const velocity = sample.map((x, j) => (x - (clean[j] ?? 0)) / (solver.sigmas[i] ?? 1));
      ({ sample, state } = solver.step(velocity, i, sample, state));
    });
    expect(sample).toBeAllclose(clean, { rtol: 1e-5, atol: 1e-5 });
  });

  it('leaves the sample and the state it was given as they were', () => {
    const solver = createFlowDpmSolver({ steps: 5, shift: 3 });
    const sample = Float32Array.of(1, 2);
    const first = solver.step(Float32Array.of(1, 1), 0, sample, solver.initialState);
    const before = structuredClone(first.state);
    const again = solver.step(Float32Array.of(2, 2), 1, first.sample, first.state);
    expect(solver.step(Float32Array.of(2, 2), 1, first.sample, first.state)).toEqual(again);
    expect(first.state).toEqual(before);
    expect(sample).toEqual(Float32Array.of(1, 2));
    expect(solver.initialState).toEqual({ history: [] });
  });

  it('says when a step is out of range, or comes without the state before it', () => {
    const solver = createFlowDpmSolver({ steps: 5, shift: 3 });
    const x = Float32Array.of(1);
    expect(() => solver.step(x, 5, x, solver.initialState)).toThrow('step 5 of a solver with 5 steps');
    expect(() => solver.step(x, 2, x, solver.initialState)).toThrow('needs the state after step 1');
    expect(() => createFlowDpmSolver({ steps: 0, shift: 3 })).toThrow('steps is 0');
    expect(() => createFlowEuler({ steps: 3, shift: 0 })).toThrow('shift is 0');
  });
});

describe('createFlowUniPc', () => {
  it('puts levels nearly even in log-SNR from near pure noise to nearly none', () => {
    const { sigmas, timesteps } = createFlowUniPc({ steps: 14, shift: 3, spacing: 'log_snr' });
    expect(timesteps).toBeAllclose(
      sigmas.slice(0, -1).map((sigma) => 1000 * sigma),
      { rtol: 1e-6 },
    );
    expect([...sigmas.slice(0, 4), ...sigmas.slice(-3)]).toBeAllclose(
      [0.999666, 0.9723, 0.9508, 0.9195, 0.0646, 0.038, 0],
      { rtol: 1e-3 },
    );
    const lambda = Array.from(sigmas.slice(1, -1), (sigma) => Math.log((1 - sigma) / sigma));
    expect(lambda.at(-1)).toBeCloseTo(Math.log(5.43 * 14) - Math.log(3), 5);
    const even = (Math.log(5.43 * 14) + Math.log(1.59 * 14)) / 13;
    const gaps = lambda.slice(1).map((value, i) => (value - (lambda[i] ?? 0)) / even);
    expect(Math.min(...gaps)).toBeGreaterThan(0.75);
    expect(Math.max(...gaps)).toBeLessThan(1.2);
    // The smallest gap is a third of the way, where sigma is about 0.9.
    expect(gaps.indexOf(Math.min(...gaps))).toBe(3);
  });

  it.each([1, 2, 14])('is exact in %i steps for a model that knows the picture', (steps) => {
    const clean = [0.5, -1, 2];
    const solver = createFlowUniPc({ steps, shift: 3, solverOrder: 3, spacing: 'log_snr' });
    let sample: Float32Array = Float32Array.of(1, 1, -1);
    let state = solver.initialState;
    solver.timesteps.forEach((_, i) => {
      const velocity = sample.map((x, j) => (x - (clean[j] ?? 0)) / (solver.sigmas[i] ?? 1));
      ({ sample, state } = solver.step(velocity, i, sample, state));
    });
    expect(sample).toBeAllclose(clean, { rtol: 1e-4, atol: 1e-4 });
  });

  it('does not take the order of another solver from a config, and needs the state before a step', () => {
    const named = solverFromConfig({ ...sana, solver_order: 3 }, { steps: 6, solver: 'flow_unipc' });
    expect(pathOf(named, golden.start)).toEqual(pathOf(createFlowUniPc({ steps: 6, shift: 3 }), golden.start));
    const x = Float32Array.of(1);
    expect(() => named.step(x, 2, x, named.initialState)).toThrow('needs the state after step 1');
  });
});

describe('guidance', () => {
  const [cond, uncond] = [Float32Array.of(1, 2), Float32Array.of(0, 4)];

  it('goes from the unconditional through the conditional prediction and beyond', () => {
    expect(classifierFreeGuidance(cond, uncond, 1)).toEqual(cond);
    expect(classifierFreeGuidance(cond, uncond, 0)).toEqual(uncond);
    expect(classifierFreeGuidance(cond, uncond, 4.5)).toEqual(Float32Array.of(4.5, -5));
  });

  it('acts strictly inside its interval, and everywhere without one', () => {
    expect([0.2, 0.5, 0.8].map((sigma) => guidanceActs(sigma, [0.2, 0.8]))).toEqual([false, true, false]);
    expect(guidanceActs(1)).toBe(true);
  });
});
