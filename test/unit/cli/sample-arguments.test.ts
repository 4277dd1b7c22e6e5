import { describe, expect, it } from 'vitest';
import { numberParser, parseAdapter, parseInterval, parseSize } from '../../../src/cli/sample-arguments.ts';

describe('parseAdapter', () => {
  it.each([
    ['dog.safetensors', 'dog.safetensors', 1],
    ['dog.safetensors:0.8', 'dog.safetensors', 0.8],
    ['runs/dog/adapter:-1', 'runs/dog/adapter', -1],
    ['C:\\adapters\\dog.safetensors', 'C:\\adapters\\dog.safetensors', 1],
    ['C:\\adapters\\dog.safetensors:.5', 'C:\\adapters\\dog.safetensors', 0.5],
    ['c:/adapters/dog.safetensors:1e-1', 'c:/adapters/dog.safetensors', 0.1],
    ['D:dog.safetensors', 'D:dog.safetensors', 1],
    ['D:dog.safetensors:2', 'D:dog.safetensors', 2],
    ['a:b/dog.safetensors', 'a:b/dog.safetensors', 1],
  ])('reads %s', (text, path, scale) => {
    expect(parseAdapter(text)).toEqual({ path, scale });
  });

  it.each(['dog.safetensors:half', 'dog.safetensors:', 'dog.safetensors:0,8', 'dog.safetensors:Infinity', ':0.8', ''])(
    'refuses %j',
    (text) => {
      expect(() => parseAdapter(text)).toThrow(/^--adapter .*; write FILE or FILE:SCALE/);
    },
  );
});

describe('parseSize', () => {
  it('reads a side, or width x height', () => {
    expect(parseSize('512')).toEqual({ width: 512, height: 512 });
    expect(parseSize('512x768')).toEqual({ width: 512, height: 768 });
  });

  it.each(['', '0', '512x', '512x768x3', '-32', '1e3', 'big'])('refuses %j', (text) => {
    expect(() => parseSize(text)).toThrow(`--size is ${text}; write pixels`);
  });
});

describe('parseInterval', () => {
  it('reads two noise levels', () => {
    expect(parseInterval('0.1:0.9')).toEqual([0.1, 0.9]);
  });

  it.each(['0.1', '0.9:0.1', '0:', 'a:b', '0:0.5:1'])('refuses %j', (text) => {
    expect(() => parseInterval(text)).toThrow(`--guidance-interval is ${text}; write two noise levels`);
  });
});

describe('numberParser', () => {
  it('says what it would have taken', () => {
    const steps = numberParser('--steps', { least: 1, wholeOnly: true });
    expect(steps('20')).toBe(20);
    for (const text of ['0', '1.5', '', '0x10', 'many']) {
      expect(() => steps(text)).toThrow(`--steps is ${text}; use a whole number from 1.`);
    }
    expect(numberParser('--guidance')('-4.5')).toBe(-4.5);
  });
});
