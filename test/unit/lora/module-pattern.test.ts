import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compilePattern } from '../../../src/lora/module-pattern.ts';

function lookup(keys: readonly string[]): (name: string) => number | undefined {
  return compilePattern(Object.fromEntries(keys.map((key, i) => [key, i])), 'rank_pattern');
}

describe('compilePattern', async () => {
  // Written by tools/goldens/peft_patterns.py with peft.
  const text = await readFile(path.join(import.meta.dirname, 'goldens', 'patterns.json'), 'utf8');
  const golden = z
    .object({
      names: z.array(z.string()),
      patterns: z.array(z.array(z.string())),
      matches: z.array(z.tuple([z.array(z.string()), z.string(), z.number()])),
    })
    .parse(JSON.parse(text));

  it.each(golden.patterns.map((keys) => ({ keys })))('matches as peft does: $keys', ({ keys }) => {
    const find = lookup(keys);
    const expected = golden.matches.filter(([of]) => of.join('\n') === keys.join('\n'));
    expect(golden.names.flatMap((name) => (find(name) === undefined ? [] : [[keys, name, find(name)]]))).toEqual(
      expected,
    );
  });

  it.each([
    ['(.*)'.repeat(40) + 'x'],
    ['(a*)*'.repeat(20) + 'b'],
    ['(.|.)*'.repeat(10) + '$x'],
    ['.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*y'],
  ])('takes no time for %s', (key) => {
    const start = performance.now();
    const find = lookup([key]);
    for (let i = 0; i < 100; i++) expect(find(`transformer_blocks.${i}.attn1.to_q${'a'.repeat(30)}`)).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it.each([
    [['to_q('], /rank_pattern has the key "to_q\(", which is no regular expression that can be read \(.*\)\.$/],
    [['a)|(b'], /no regular expression/],
    [['(?!attn2).*to_q'], /no regular expression/],
    [['(a{1000}){1000}'], /use at most 200 characters and no counted repetition/],
    [['.*'.repeat(200)], /has the key "(?:\.\*){30}…"; use at most 200 characters/],
    [Array.from({ length: 101 }, (_, i) => `.*${i}`), /has 101 keys, 101 of them regular expressions; 10000 and 100/],
    [Array.from({ length: 10_001 }, (_, i) => `a${i}`), /has 10001 keys/],
  ])('refuses what would not end or cannot be read', (keys, message) => {
    expect(() => lookup(keys)).toThrow(message);
  });
});
