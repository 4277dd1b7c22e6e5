import { describe, expect, it } from 'vitest';

import { chooseUi, colorDepth } from '../../../src/cli/choose-ui.ts';

describe('chooseUi', () => {
  it.each([
    ['auto', true, {}, 'ink'],
    ['auto', false, {}, 'plain'],
    ['auto', true, { CI: 'true' }, 'plain'],
    ['auto', true, { CI: '' }, 'ink'],
    ['auto', true, { TERM: 'dumb' }, 'plain'],
    ['auto', true, { INK_SCREEN_READER: 'true' }, 'plain'],
    ['ink', true, { CI: 'true' }, 'ink'],
    ['ink', true, { TERM: 'dumb' }, 'plain'],
    ['ink', false, {}, 'plain'],
    ['plain', true, {}, 'plain'],
    ['json', false, {}, 'json'],
  ] as const)('%s with a terminal %s and %j is %s', (asked, isTerminal, env, expected) => {
    expect(chooseUi(asked, { isTerminal, env })).toBe(expected);
  });
});

describe('colorDepth', () => {
  it.each([
    [{}, '256'],
    [{ COLORTERM: 'truecolor' }, 'full'],
    [{ COLORTERM: 'truecolor', NO_COLOR: '1' }, 'none'],
    [{ NO_COLOR: '' }, '256'],
  ] as const)('%j is %s', (env, expected) => {
    expect(colorDepth(env)).toBe(expected);
  });
});
