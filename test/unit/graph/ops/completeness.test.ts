import { readdir } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { ancestors, gradients } from '../../../../src/graph/gradients.ts';
import { reduceSum } from '../../../../src/graph/ops/broadcast.ts';
import { add } from '../../../../src/graph/ops/elementwise.ts';
import { definedOps, type Value } from '../../../../src/graph/value.ts';
import type { OpCase } from '../../../op-cases.ts';

const opsFolder = new URL('../../../../src/graph/ops/', import.meta.url);
const casesFolder = new URL('cases/', import.meta.url);

function isCase(value: unknown): value is OpCase {
  return typeof value === 'object' && value !== null && 'build' in value && 'expected' in value;
}

async function loadCases(): Promise<readonly OpCase[]> {
  const files = (await readdir(casesFolder)).filter((file) => file.endsWith('.ts'));
  const modules: object[] = await Promise.all(files.map((file) => import(new URL(file, casesFolder).href)));
  return modules.flatMap((module) => Object.values(module).flat().filter(isCase));
}

/** The sum of all results, for which there are gradients in the operands that have them. */
function differentiate({ inputs, build }: OpCase): readonly Value[] {
  const { values, results } = build();
  const wanted = Object.entries(inputs).flatMap(([key, { differentiable, dtype = 'float32' }]) => {
    const value = values[key];
    return value && (differentiable ?? dtype === 'float32') ? [value] : [];
  });
  if (wanted.length === 0) return [];
  const sums = results.map((value) =>
    reduceSum(
      value,
      value.shape.map((_, axis) => axis),
      false,
    ),
  );
  return gradients(
    sums.reduce((sum, part) => add(sum, part)),
    wanted,
  );
}

describe('the tables of cases', () => {
  it('have a file for every file of ops', async () => {
    const files = (await readdir(opsFolder)).filter((file) => file.endsWith('.ts'));
    await Promise.all(files.map((file) => import(new URL(file, opsFolder).href)));
    expect(await readdir(casesFolder)).toEqual(expect.arrayContaining(files));
  });

  it('hold every op that is defined, and the gradient of every op that has one', async () => {
    const cases = await loadCases();
    const built = cases.map((opCase) => ancestors(opCase.build().results));
    const withGradient = cases.map(differentiate);
    const values = new Set(
      [...built.flat(), ...withGradient.flatMap((list) => ancestors(list))].map((node) => node.op),
    );
    const differentiated = new Set(
      built.flatMap((nodes, i) => (withGradient[i]?.length ? nodes.map((node) => node.op) : [])),
    );
    const missing = [...definedOps()].flatMap(([name, { differentiable }]) => [
      ...(values.has(name) ? [] : [name]),
      ...(!differentiable || differentiated.has(name) ? [] : [`${name}'s gradient`]),
    ]);
    expect(missing).toEqual([]);
  });
});
