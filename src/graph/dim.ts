/**
 * Sizes of axes. A symbolic size is a polynomial with whole coefficients over named symbols, kept as its
 * canonical text: 'B', 'H*W', '32*H', '4*H*W+2'. Equal sizes have equal text, so `===` compares them.
 */
export type Dim = number | string;

/** The axes of a value, outermost first. */
export type Shape = readonly Dim[];

/** What each symbol stands for in one run; also sizes such as 'H*W' that are known as a whole. */
export type DimBindings = Readonly<Record<string, number>>;

type Polynomial = ReadonlyMap<string, number>; // monomial, '' for the constant -> coefficient

function parse(dim: Dim): Polynomial {
  if (typeof dim === 'number') return new Map(dim === 0 ? [] : [['', dim]]);
  const terms = new Map<string, number>();
  for (const term of dim.split('+')) {
    let coefficient = 1;
    const symbols: string[] = [];
    for (const factor of term.split('*')) {
      if (/^-?\d+$/.test(factor)) coefficient *= Number(factor);
      else if (/^[A-Za-z_]\w*$/.test(factor)) symbols.push(factor);
      else throw new RangeError(`dim: '${dim}' is no sum of products of whole numbers and names`);
    }
    const key = symbols.sort().join('*');
    terms.set(key, (terms.get(key) ?? 0) + coefficient);
  }
  return terms;
}

function format(polynomial: Polynomial): Dim {
  const terms = [...polynomial].filter(([, coefficient]) => coefficient !== 0);
  if (terms.length === 0) return 0;
  const [only] = terms;
  if (terms.length === 1 && only && only[0] === '') return only[1];
  terms.sort(([a], [b]) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1));
  return terms
    .map(([symbols, coefficient]) =>
      symbols === '' ? `${coefficient}` : coefficient === 1 ? symbols : `${coefficient}*${symbols}`,
    )
    .join('+');
}

/** The canonical form of a size: 'W*H' becomes 'H*W', '2*3' becomes 6. */
export function canonicalDim(dim: Dim): Dim {
  return typeof dim === 'number' ? dim : format(parse(dim));
}

/** a + b. */
export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  const sum = new Map(parse(a));
  for (const [key, coefficient] of parse(b)) sum.set(key, (sum.get(key) ?? 0) + coefficient);
  return format(sum);
}

/** a * b. */
export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  const product = new Map<string, number>();
  for (const [left, p] of parse(a)) {
    for (const [right, q] of parse(b)) {
      const key = [...left.split('*'), ...right.split('*')].filter(Boolean).sort().join('*');
      product.set(key, (product.get(key) ?? 0) + p * q);
    }
  }
  return format(product);
}

/**
 * floor(a / divisor).
 * @throws RangeError when a symbol's coefficient is not a multiple of `divisor`: the quotient would depend on the symbol.
 */
export function floorDivDim(a: Dim, divisor: number): Dim {
  const quotient = new Map<string, number>();
  for (const [key, coefficient] of parse(a)) {
    if (key !== '' && coefficient % divisor !== 0) {
      throw new RangeError(`floorDivDim: '${a}' is not a multiple of ${divisor} for every value of its symbols`);
    }
    quotient.set(key, Math.floor(coefficient / divisor));
  }
  return format(quotient);
}

/**
 * a / b where the quotient is a polynomial again, as the size that -1 stands for in a reshape.
 * @throws RangeError when b has several terms or does not divide a.
 */
export function exactDivDim(a: Dim, b: Dim): Dim {
  if (a === b) return 1;
  const [divisor, ...more] = parse(b);
  if (!divisor || more.length > 0) throw new RangeError(`exactDivDim: cannot divide '${a}' by '${b}'`);
  const quotient = new Map<string, number>();
  for (const [key, coefficient] of parse(a)) {
    const symbols = key.split('*').filter(Boolean);
    for (const symbol of divisor[0].split('*').filter(Boolean)) {
      const at = symbols.indexOf(symbol);
      if (at < 0) throw new RangeError(`exactDivDim: '${b}' does not divide '${a}'`);
      symbols.splice(at, 1);
    }
    if (coefficient % divisor[1] !== 0) throw new RangeError(`exactDivDim: '${b}' does not divide '${a}'`);
    quotient.set(symbols.join('*'), coefficient / divisor[1]);
  }
  return format(quotient);
}

/** The product of a shape's axes. */
export function shapeSize(shape: Shape): Dim {
  return shape.reduce<Dim>(mulDims, 1);
}

/** The symbols that a size is made of. */
export function dimSymbols(dim: Dim): readonly string[] {
  if (typeof dim === 'number') return [];
  return [...new Set([...parse(dim).keys()].flatMap((key) => key.split('*').filter(Boolean)))];
}

/**
 * A polynomial's terms: coefficient and symbols with repetition.
 */
export function dimTerms(dim: Dim): readonly { readonly coefficient: number; readonly symbols: readonly string[] }[] {
  return [...parse(dim)].map(([key, coefficient]) => ({ coefficient, symbols: key.split('*').filter(Boolean) }));
}

/**
 * The number that a size is under `bindings`.
 * @throws RangeError when a symbol is not bound.
 */
export function evaluateDim(dim: Dim, bindings: DimBindings): number {
  if (typeof dim === 'number') return dim;
  const value = bindings[dim] ?? evaluateTerms(dim, bindings);
  if (value !== undefined) return value;
  const missing = dimSymbols(dim).find((symbol) => bindings[symbol] === undefined);
  const known = Object.keys(bindings).join(', ') || 'none';
  throw new RangeError(`evaluateDim: '${missing}' of '${dim}' has no value; bound are ${known}`);
}

function evaluateTerms(dim: string, bindings: DimBindings): number | undefined {
  let sum = 0;
  for (const { coefficient, symbols } of dimTerms(dim)) {
    let product = coefficient;
    for (const symbol of symbols) {
      const size = bindings[symbol];
      if (size === undefined) return undefined;
      product *= size;
    }
    sum += product;
  }
  return sum;
}

/** Slope and offset of a size that is linear in `symbol` and holds no other; nothing for one that is not. */
export function linearIn(dim: Dim, symbol: string): { readonly slope: number; readonly offset: number } | undefined {
  const terms = parse(dim);
  const slope = terms.get(symbol);
  const only = [...terms.keys()].every((key) => key === '' || key === symbol);
  return slope && only ? { slope, offset: terms.get('') ?? 0 } : undefined;
}

/**
 * Extends `bindings` by what `dim` being `size` says about its symbols.
 * A size linear in one symbol ('H', '32*H', 'H+2') tells the symbol; another one ('H*W') is bound as a whole until its
 * symbols are known.
 * @throws RangeError when size and bindings contradict each other, or no whole number from 1 fits: kernels differ in what
 *   they make of an axis of none
 */
export function bindDim(dim: Dim, size: number, bindings: Record<string, number>): void {
  if (typeof dim === 'number') {
    if (dim !== size) throw new RangeError(`an axis of size ${dim} got ${size}`);
    return;
  }
  const symbols = dimSymbols(dim);
  const [symbol] = symbols;
  const linear = symbol === undefined ? undefined : linearIn(dim, symbol);
  if (symbol !== undefined && linear && bindings[symbol] === undefined) {
    const solution = (size - linear.offset) / linear.slope;
    if (!Number.isInteger(solution) || solution < 1) {
      throw new RangeError(`an axis of size ${dim} got ${size}; ${symbol} would be ${solution}`);
    }
    bindings[symbol] = solution;
  }
  const expected = evaluateTerms(dim, bindings) ?? bindings[dim];
  if (expected === undefined) {
    bindings[dim] = size;
  } else if (expected !== size) {
    const names = symbols.filter((name) => bindings[name] !== undefined);
    const known = names.map((name) => `${name} = ${bindings[name]}`).join(', ') || `${expected} elsewhere`;
    throw new RangeError(`an axis of size ${dim} (${known}) got ${size}`);
  }
}

/** '[B, 32, H, W]'. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Whether two shapes are the same. */
export function equalShapes(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/**
 * The shape that two operands broadcast to, by numpy's rule.
 * @throws RangeError naming `caller` and both shapes when they do not.
 */
export function broadcastShapes(caller: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a[a.length - rank + i] ?? 1;
    const right = b[b.length - rank + i] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new RangeError(
      `${caller}: ${formatShape(a)} and ${formatShape(b)} do not broadcast: axis ${i - rank} is ${left} and ${right}`,
    );
  });
}

/** An axis counted from the front; -1 is the last. @throws RangeError when there is no such axis. */
export function normalizeAxis(caller: string, axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= rank) {
    throw new RangeError(`${caller}: axis ${axis} of a value with ${rank} axes`);
  }
  return normal;
}
