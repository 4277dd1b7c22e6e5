import type { z } from 'zod';

import { quoted } from '../io/json.ts';
import { describeType } from './describe-type.ts';
import { nearest } from './edit-distance.ts';
import type { OptionDocs } from './option.ts';
import { allOptionNames, findByOtherName, reasonForAbsence } from './other-names.ts';
import {
  alternatives,
  alternativesFor,
  childValue,
  isMapping,
  nodeAt,
  type Path,
  pathText,
  valueAt,
} from './schema-node.ts';

/** Something wrong in a config: a sentence, and where. */
export interface Problem {
  readonly path: Path;
  /** Whether the key is wrong, or its value. */
  readonly part: 'key' | 'value';
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/** A value as a user may have written it, short. */
export function formatValue(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : shortened(value, 'a list');
  if (isMapping(value)) return shortened(value, 'a mapping');
  return `${value as number | boolean}`; // what is left of YAML's values
}

function shortened(value: object, otherwise: string): string {
  const text = JSON.stringify(value);
  return text.length <= 60 ? quoted(text).slice(1, -1).replaceAll('\\"', '"') : otherwise;
}

/** A path for messages; keys out of a file may hold anything. */
function nameOf(path: Path): string {
  const text = pathText(path);
  return /^[\w.-]*$/.test(text) && text.length < 200 ? text : quoted(text);
}

/** Of the issues of a union's alternatives, those of the one that was meant: the mapping for a mapping. */
function innerIssues(issue: Issue & { readonly code: 'invalid_union' }): readonly Issue[] | undefined {
  const deeper = issue.errors.filter(
    (issues) => issues.length > 0 && issues.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys'),
  );
  return deeper.toSorted((a, b) => a.length - b.length)[0];
}

/** What zod found, in sentences with the value and what to write. */
export function problemsOf(issues: readonly Issue[], value: unknown, prefix: Path = []): readonly Problem[] {
  return issues.flatMap((issue): readonly Problem[] => {
    // Symbols are no keys of YAML.
    const path = [...prefix, ...issue.path.filter((key) => typeof key !== 'symbol')];
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key, value));
    if (issue.code === 'invalid_union') {
      const inner = innerIssues(issue);
      if (inner) return problemsOf(inner, value, path);
    }
    if (issue.code === 'custom') return [{ path, part: 'value', message: `${issue.message}.` }];
    return [wrongValue(path, value)];
  });
}

function wrongValue(path: Path, root: unknown): Problem {
  const value = valueAt(root, path);
  const node = nodeAt(root, path);
  const parent = valueAt(root, path.slice(0, -1));
  // The key that chooses between alternatives, such as the name of an optimizer, may be any of theirs.
  const around = path.length > 0 ? nodeAt(root, path.slice(0, -1)) : undefined;
  const words = (around?.oneOf ?? [])
    .map(({ properties }) => properties?.[String(path.at(-1))]?.const)
    .filter((word) => word !== undefined);
  const expects = words.length > 1 ? `one of ${words.join(', ')}` : node ? describeType(node) : 'something else';
  const usual = node?.docs?.usual;
  const hint =
    usual === undefined ? '' : ` (${/^[\d.]+ to [\d.]+$/.test(usual) ? `${usual} are usual` : `usual: ${usual}`})`;
  const missing =
    value === undefined && (path.length === 0 || !isMapping(parent) || !Object.hasOwn(parent, path.at(-1) ?? ''));
  if (missing && path.length > 0) {
    return { path, part: 'value', message: `${nameOf(path)} is missing; it should be ${expects}${hint}.` };
  }
  if (path.length === 0) {
    const message =
      value === undefined || value === null ? 'the file is empty' : `the file holds ${formatValue(value)}`;
    return { path, part: 'value', message: `${message}; a config has sections such as model, dataset and train.` };
  }
  const guess =
    typeof value === 'string' ? (ownWord(value, node?.docs) ?? nearest(value, choices(root, path))) : undefined;
  const question = guess === undefined ? '' : ` Did you mean ${guess}?`;
  const yes = typeof value === 'string' && /^(yes|no|on|off)$/i.test(value) && expects.includes('true');
  return {
    path,
    part: 'value',
    message: `${nameOf(path)} is ${formatValue(value)}; use ${expects}${hint}.${yes ? ' YAML 1.2 has no yes and no.' : question}`,
  };
}

/** What a value of another trainer is called here. */
function ownWord(value: string, docs: OptionDocs | undefined): string | undefined {
  return Object.entries(docs?.otherWords ?? {}).find(([, words]) => words.includes(value.toLowerCase()))?.[0];
}

/** The words that a value may be. */
function choices(root: unknown, path: Path): readonly string[] {
  const node = nodeAt(root, path);
  return (node ? alternatives(node) : []).flatMap(
    ({ enum: words, const: word }) => words ?? (word === undefined ? [] : [String(word)]),
  );
}

function unknownKey(path: Path, key: string, root: unknown): Problem {
  const here = [...path, key];
  const node = nodeAt(root, path);
  const siblings = (node ? alternativesFor(node, valueAt(root, path) ?? {}) : []).flatMap(({ properties }) =>
    Object.keys(properties ?? {}),
  );
  const isFree = (name: string): boolean => childValue(valueAt(root, path), name) === undefined;
  const wrong = `${nameOf(here)} is no option`;
  const problem = (hint: string): Problem => ({ path: here, part: 'key', message: `${wrong}${hint}` });

  const near = nearest(key, siblings);
  if (near !== undefined && isFree(near)) return problem(`; did you mean ${nameOf([...path, near])}?`);
  const reason = reasonForAbsence(key);
  if (reason !== undefined) return problem(`: ${reason}.`);
  const elsewhere = findByOtherName(key, path.length > 0 ? String(path[0]) : undefined);
  if (elsewhere !== undefined && elsewhere !== pathText(here)) return problem(` here; use ${elsewhere}.`);
  const names = allOptionNames();
  const nearElsewhere = nearest(key, names.keys());
  const guess = names.get(nearElsewhere ?? '');
  if (guess !== undefined && guess !== pathText(here)) return problem(`; did you mean ${guess}?`);
  const list =
    siblings.length > 0 && siblings.length <= 12 ? `; there are ${siblings.join(', ')}` : '; docs/config.md lists all';
  return problem(`${list}.`);
}
