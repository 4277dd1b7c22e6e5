import { createHash } from 'node:crypto';

/** What a generator needs to go on where it stopped; plain JSON. */
export interface RandomState {
  readonly algorithm: 'xoshiro128**';
  /** Where the generator came from, 32 hexadecimal digits; forks derive from it. */
  readonly key: string;
  /** The four 32-bit words of the generator. */
  readonly words: readonly number[];
  /** The second normal of a pair, if it has not been given out. */
  readonly spare: number | null;
}

/** A seeded stream of random numbers: the only source of randomness in this project. */
export interface Random {
  /** A number in [0, 1), a multiple of 2^-53. */
  uniform(): number;
  /** A draw of N(0, 1). */
  normal(): number;
  /** A whole number in [0, n), each equally likely (to n / 2^53). */
  integer(n: number): number;
  /** `count` draws of N(0, 1), rounded to float32. */
  normals(count: number): Float32Array;
  /** Puts the elements in random order, in place (Fisher-Yates), and returns the array. */
  shuffle<T>(array: T[]): T[];
  /** A snapshot for `restoreRandom`. */
  state(): RandomState;
  /**
   * An independent stream named by `label`. It depends on this generator's seed and on the label alone, not on how many
   * numbers have been drawn: `fork('noise')` is the same before and after a resume.
   */
  fork(label: string): Random;
}

/**
 * A generator whose numbers depend on `seed` alone; 42 and '42' are the same seed.
 *
 * xoshiro128** (Blackman and Vigna, https://prng.di.unimi.it/xoshiro128starstar.c), its words the SHA-256 of the seed.
 * The numbers are the same on every machine and every version of Node: only integer arithmetic, +, -, *, / and sqrt
 * are used, which IEEE 754 and ECMAScript define to the last bit. Math.log and Math.cos are not so defined, and V8 has
 * changed its cos between versions; hence the logarithm below.
 * @throws RangeError when a numeric seed is NaN or infinite.
 */
export function createRandom(seed: number | string): Random {
  if (typeof seed === 'number' && !Number.isFinite(seed)) {
    throw new RangeError(`createRandom: the seed is ${seed}; use a finite number or a string`);
  }
  return fromKey(hashHex(`seed:${seed}`));
}

/**
 * The generator that `state` was taken from, at the same position.
 * @throws RangeError when the state is not one that `Random.state` made.
 */
export function restoreRandom(state: RandomState): Random {
  const { algorithm, key, words, spare } = state;
  const wordsFit = words.length === 4 && words.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32);
  if (algorithm !== 'xoshiro128**' || !/^[0-9a-f]{32}$/.test(key) || !wordsFit || words.every((word) => word === 0)) {
    throw new RangeError(`restoreRandom: not a state of xoshiro128**: ${JSON.stringify(state)}`);
  }
  return xoshiro128(key, Uint32Array.from(words), spare);
}

function hashHex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 32);
}

function fromKey(key: string): Random {
  const words = Uint32Array.from([0, 8, 16, 24], (at) => Number.parseInt(key.slice(at, at + 8), 16));
  return xoshiro128(key, words, null);
}

function xoshiro128(key: string, words: Uint32Array, savedSpare: number | null): Random {
  let [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = words;
  let spare = savedSpare;

  function next(): number {
    const scrambled = Math.imul(s1, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    s3 = (s3 << 11) | (s3 >>> 21);
    return result;
  }

  function uniform(): number {
    const high = next() >>> 5; // 27 bits
    const low = next() >>> 6; // 26 bits
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  // Marsaglia's polar method: a point in the unit disc gives two normals.
  function normal(): number {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const scale = Math.sqrt((-2 * naturalLog(square)) / square);
      spare = y * scale;
      return x * scale;
    }
  }

  function integer(n: number): number {
    if (!Number.isSafeInteger(n) || n < 1) throw new RangeError(`Random.integer: n is ${n}; use a whole number from 1`);
    return Math.floor(uniform() * n);
  }

  return {
    uniform,
    normal,
    integer,
    normals(count) {
      const out = new Float32Array(count);
      for (let i = 0; i < count; i++) out[i] = normal();
      return out;
    },
    shuffle<T>(array: T[]): T[] {
      for (let last = array.length - 1; last > 0; last--) {
        const other = integer(last + 1);
        // A swap by splice: no element is read by an index that could be absent, so any T will do.
        array.splice(last, 1, ...array.splice(other, 1, ...array.slice(last, last + 1)));
      }
      return array;
    },
    state: () => ({
      algorithm: 'xoshiro128**',
      key,
      words: [s0 >>> 0, s1 >>> 0, s2 >>> 0, s3 >>> 0],
      spare,
    }),
    fork: (label) => fromKey(hashHex(`fork:${key}:${label}`)),
  };
}

const double = new DataView(new ArrayBuffer(8));

/**
 * The natural logarithm of a positive normal number, the same to the last bit everywhere:
 * x = m 2^e with m in [sqrt(1/2), sqrt(2)), log x = e log 2 + 2 atanh((m - 1) / (m + 1)). Relative error about 3e-16.
 */
export function naturalLog(x: number): number {
  double.setFloat64(0, x);
  const high = double.getUint32(0);
  let exponent = (high >>> 20) - 1023;
  double.setUint32(0, (high & 0xfffff) | (1023 << 20));
  let mantissa = double.getFloat64(0); // [1, 2)
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1); // |s| < 0.172, so s^24 / 25 is below 2e-20
  const square = s * s;
  let series = 0;
  for (let odd = 23; odd >= 1; odd -= 2) series = series * square + 1 / odd;
  return exponent * Math.LN2 + 2 * s * series;
}
