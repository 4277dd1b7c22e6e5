import { RE2JS, RE2JSException } from 're2js';

import { UserError } from '../errors.ts';

/** Finds a module's entry of a pattern by the module's name. */
export type PatternLookup = (name: string) => number | undefined;

// A real pattern names some of a few hundred modules; more is no pattern, and would take long to look through.
const maxKeys = 10_000;
const maxExpressions = 100;
const maxExpressionLength = 200;

/**
 * Reads a rank_pattern or alpha_pattern: the first key counts that is a regular expression for a module's name or for
 * its end after a dot, as peft has it (utils/other.py, get_pattern_key). RE2 matches in time that grows with the name
 * and the key alone, so that no file can make a load hang; what RE2 has not (look-around, back-references) is refused.
 *
 * @param label what to call the pattern in an error, such as lora.rank_pattern
 * @throws UserError naming a key that cannot be read
 */
export function compilePattern(pattern: Readonly<Record<string, number>>, label: string): PatternLookup {
  const keys = Object.keys(pattern);
  const expressions = keys.filter((key) => !isPlain(key));
  if (keys.length > maxKeys || expressions.length > maxExpressions) {
    throw new UserError(
      `${label} has ${keys.length} keys, ${expressions.length} of them regular expressions; ${maxKeys} and ${maxExpressions} are the most that are read.`,
    );
  }
  const entries = Object.entries(pattern).map(([key, value]) => ({
    matches: isPlain(key) ? (name: string) => endsPlainly(name, key) : compileExpression(key, label),
    value,
  }));
  return (name) => entries.find(({ matches }) => matches(name))?.value;
}

/** Whether a key is of letters, digits, _ and dots: almost all are, and need no regular expression. */
function isPlain(key: string): boolean {
  return /^[\w.]*$/.test(key);
}

/** Whether a name, or its end after a dot, matches a plain key, whose dots stand for any character. */
function endsPlainly(name: string, key: string): boolean {
  const start = name.length - key.length;
  if (start < 0 || (start > 0 && name[start - 1] !== '.')) return false;
  for (let i = 0; i < key.length; i++) if (key[i] !== '.' && key[i] !== name[start + i]) return false;
  return true;
}

function compileExpression(key: string, label: string): (name: string) => boolean {
  const shown = JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}…` : key);
  // A counted repetition of 1000 takes a thousand states a character; names of modules need none.
  if (key.length > maxExpressionLength || key.includes('{')) {
    throw new UserError(
      `${label} has the key ${shown}; use at most ${maxExpressionLength} characters and no counted repetition.`,
    );
  }
  try {
    RE2JS.compile(key); // alone, so that a stray bracket is refused and does not close the one below
    const expression = RE2JS.compile(`(?:.*\\.)?(?:${key})`);
    return (name) => expression.matches(name);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new UserError(
      `${label} has the key ${shown}, which is no regular expression that can be read (${error.message}).`,
    );
  }
}
