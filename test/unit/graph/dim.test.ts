import { describe, expect, it } from 'vitest';

import {
  addDims,
  bindDim,
  broadcastShapes,
  canonicalDim,
  type Dim,
  dimSymbols,
  evaluateDim,
  exactDivDim,
  floorDivDim,
  mulDims,
  normalizeAxis,
  shapeSize,
} from '../../../src/graph/dim.ts';

describe('canonicalDim', () => {
  it.each<[Dim, Dim]>([
    [7, 7],
    ['B', 'B'],
    ['W*H', 'H*W'],
    ['2*3', 6],
    ['H*32', '32*H'],
    ['1*H', 'H'],
    ['0*H', 0],
    ['H+H', '2*H'],
    ['2+W+H', 'H+W+2'],
    ['H+-1*H', 0],
    ['H+-2', 'H+-2'],
    ['3+-3+H', 'H'],
  ])('%s is %s', (dim, canonical) => {
    expect(canonicalDim(dim)).toBe(canonical);
    expect(canonicalDim(canonical)).toBe(canonical);
  });

  it.each(['', 'H-1', 'H**W', 'H/2', '2 H', '1.5'])("refuses '%s'", (dim) => {
    expect(() => canonicalDim(dim)).toThrow(`'${dim}' is no sum of products`);
  });
});

describe('arithmetic', () => {
  it.each<[Dim, Dim, Dim, Dim]>([
    [2, 3, 5, 6],
    ['H', 0, 'H', 0],
    ['H', 1, 'H+1', 'H'],
    ['H', 'H', '2*H', 'H*H'],
    ['W', 'H', 'H+W', 'H*W'],
    ['H+1', 'H+-1', '2*H', 'H*H+-1'],
    ['2*H', -1, '2*H+-1', '-2*H'],
    ['B*H', 'W', 'B*H+W', 'B*H*W'],
  ])('of %s and %s: sum %s, product %s', (a, b, sum, product) => {
    expect(addDims(a, b)).toBe(sum);
    expect(addDims(b, a)).toBe(sum);
    expect(mulDims(a, b)).toBe(product);
    expect(mulDims(b, a)).toBe(product);
  });

  it('multiplies the axes of a shape', () => {
    expect(shapeSize([])).toBe(1);
    expect(shapeSize(['B', 32, 'W', 'H'])).toBe('32*B*H*W');
  });
});

describe('floorDivDim', () => {
  it.each<[Dim, number, Dim]>([
    [7, 2, 3],
    [-1, 2, -1],
    ['2*H', 2, 'H'],
    ['2*H+-1', 2, 'H+-1'],
    ['4*H+3', 2, '2*H+1'],
    ['32*H', 32, 'H'],
    [0, 3, 0],
  ])('%s / %d is %s', (dim, divisor, quotient) => {
    expect(floorDivDim(dim, divisor)).toBe(quotient);
  });

  it('refuses a quotient that depends on the symbol', () => {
    expect(() => floorDivDim('3*H', 2)).toThrow("'3*H' is not a multiple of 2 for every value of its symbols");
  });
});

describe('exactDivDim', () => {
  it.each<[Dim, Dim, Dim]>([
    [12, 4, 3],
    ['H+1', 'H+1', 1],
    ['6*B*H', '2*B', '3*H'],
    ['2*H*W+2*H', '2*H', 'W+1'],
    ['H*H', 'H', 'H'],
    [0, 'H', 0],
  ])('%s / %s is %s', (dim, divisor, quotient) => {
    expect(exactDivDim(dim, divisor)).toBe(quotient);
  });

  it.each<[Dim, Dim]>([
    [7, 2],
    ['H', 'W'],
    ['H', 2],
    ['H*W+1', 'H'],
    ['H*W', 'H+W'],
    ['H', 0],
  ])('refuses %s / %s', (dim, divisor) => {
    expect(() => exactDivDim(dim, divisor)).toThrow(RangeError);
  });
});

describe('evaluateDim', () => {
  it.each<[Dim, number]>([
    [5, 5],
    ['H', 3],
    ['32*H', 96],
    ['H*W+2', 14],
    ['H*H+-1*W', 5],
    ['Q*R', 77],
  ])('%s is %d', (dim, value) => {
    expect(evaluateDim(dim, { H: 3, W: 4, 'Q*R': 77 })).toBe(value);
  });

  it('names what has no value', () => {
    expect(() => evaluateDim('H*T', { H: 3 })).toThrow("'T' of 'H*T' has no value; bound are H");
  });
});

describe('bindDim', () => {
  function bind(...pairs: readonly (readonly [Dim, number])[]): Record<string, number> {
    const bindings: Record<string, number> = {};
    for (const [dim, size] of pairs) bindDim(dim, size, bindings);
    return bindings;
  }

  it.each<[readonly (readonly [Dim, number])[], Record<string, number>]>([
    [[[4, 4]], {}],
    [[['H', 4]], { H: 4 }],
    [[['32*H', 96]], { H: 3 }],
    [[['2*H+-1', 7]], { H: 4 }],
    [
      [
        ['H', 2],
        ['W', 3],
        ['H*W', 6],
      ],
      { H: 2, W: 3 },
    ],
    [[['H*W', 6]], { 'H*W': 6 }],
    [[['H*H', 9]], { 'H*H': 9 }],
  ])('%j gives %j', (pairs, bindings) => {
    expect(bind(...pairs)).toEqual(bindings);
  });

  it.each<[readonly (readonly [Dim, number])[], string]>([
    [[[4, 5]], 'an axis of size 4 got 5'],
    [[['32*H', 100]], 'an axis of size 32*H got 100; H would be 3.125'],
    [[['H+2', 1]], 'an axis of size H+2 got 1; H would be -1'],
    [[['B', 0]], 'an axis of size B got 0; B would be 0'],
    [
      [
        ['H', 2],
        ['2*H', 6],
      ],
      'an axis of size 2*H (H = 2) got 6',
    ],
    [
      [
        ['H*W', 6],
        ['H*W', 8],
      ],
      'an axis of size H*W (6 elsewhere) got 8',
    ],
  ])('%j contradicts itself', (pairs, message) => {
    expect(() => bind(...pairs)).toThrow(message);
  });
});

describe('broadcastShapes', () => {
  it.each<[readonly Dim[], readonly Dim[], readonly Dim[]]>([
    [[], [2], [2]],
    [
      [3, 1],
      [1, 4],
      [3, 4],
    ],
    [
      ['B', 1, 'N'],
      ['T', 'N'],
      ['B', 'T', 'N'],
    ],
    [['B', 2], [1], ['B', 2]],
  ])('%j and %j give %j', (a, b, shape) => {
    expect(broadcastShapes('add', a, b)).toEqual(shape);
    expect(broadcastShapes('add', b, a)).toEqual(shape);
  });

  it('names the axis that does not fit', () => {
    expect(() => broadcastShapes('add', ['B', 2], ['B', 3])).toThrow(
      'add: [B, 2] and [B, 3] do not broadcast: axis -1 is 2 and 3',
    );
    expect(() => broadcastShapes('add', ['N'], ['T'])).toThrow('axis -1 is N and T');
  });
});

describe('normalizeAxis', () => {
  it('counts from either end', () => {
    expect([0, 2, -1, -3].map((axis) => normalizeAxis('f', axis, 3))).toEqual([0, 2, 2, 0]);
    expect(() => normalizeAxis('f', 3, 3)).toThrow('f: axis 3 of a value with 3 axes');
    expect(() => normalizeAxis('f', -4, 3)).toThrow('f: axis -4');
    expect(() => normalizeAxis('f', 0.5, 3)).toThrow('f: axis 0.5');
  });
});

describe('dimSymbols', () => {
  it('are the names in a size', () => {
    expect(dimSymbols(3)).toEqual([]);
    expect([...dimSymbols('2*H*W+H+1')].sort()).toEqual(['H', 'W']);
  });
});
