import { describe, expect, it } from 'vitest';
import { UserError } from '../../../src/errors.ts';
import { createSchedule } from '../../../src/optim/schedules.ts';

const base = { learningRate: 1, maxTrainSteps: 12, lrWarmupSteps: 4 };
const rates = (schedule: (step: number) => number, steps: readonly number[]): number[] => steps.map(schedule);

// Expected numbers worked out by hand from the formulas of diffusers/optimization.py; the parity cases compare all.
describe('createSchedule', () => {
  it('holds constant, without warm-up', () => {
    expect(rates(createSchedule({ ...base, name: 'constant' }), [0, 3, 11])).toEqual([1, 1, 1]);
  });

  it('warms up from 0 and then holds', () => {
    expect(rates(createSchedule({ ...base, name: 'constant_with_warmup' }), [0, 1, 3, 4, 11])).toEqual([
      0, 0.25, 0.75, 1, 1,
    ]);
  });

  it('falls linearly to 0 and stays there', () => {
    expect(rates(createSchedule({ ...base, name: 'linear' }), [2, 4, 8, 12, 20])).toEqual([0.5, 1, 0.5, 0, 0]);
  });

  it('falls along half a cosine, whatever the number of cycles', () => {
    const schedule = createSchedule({ ...base, name: 'cosine', lrNumCycles: 3 });
    expect(rates(schedule, [4, 6, 8, 12])).toBeAllclose([1, 0.5 * (1 + Math.SQRT1_2), 0.5, 0]);
  });

  it('restarts the cosine lrNumCycles times and ends at 0', () => {
    const schedule = createSchedule({ ...base, name: 'cosine_with_restarts', lrNumCycles: 2 });
    expect(rates(schedule, [4, 6, 8, 10, 12])).toBeAllclose([1, 0.5, 1, 0.5, 0]);
  });

  it('falls as a power to lrEnd', () => {
    const schedule = createSchedule({ ...base, name: 'polynomial', lrPower: 2, lrEnd: 0.2 });
    expect(rates(schedule, [4, 8, 12, 13])).toBeAllclose([1, 0.4, 0.2, 0.2]);
  });

  it('follows the pieces of piecewise_constant', () => {
    const schedule = createSchedule({
      ...base,
      learningRate: 2,
      name: 'piecewise_constant',
      stepRules: '1:3,0.5:6,0.1',
    });
    expect(rates(schedule, [0, 2, 3, 5, 6, 99])).toBeAllclose([2, 2, 1, 1, 0.2, 0.2]);
  });

  it.each([undefined, '', '1:10', '1:x,0.1', '1:2:3,0.1', '1,0.1'])('refuses the step rules %j', (stepRules) => {
    const options = { ...base, name: 'piecewise_constant', ...(stepRules === undefined ? {} : { stepRules }) } as const;
    expect(() => createSchedule(options)).toThrow(UserError);
  });

  it('refuses a polynomial that would rise', () => {
    expect(() => createSchedule({ ...base, name: 'polynomial', learningRate: 1e-8 })).toThrow('learning_rate is 1e-8');
  });
});
