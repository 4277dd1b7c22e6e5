import { open } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { UserError } from '../errors.ts';
import { fileError } from '../io/file-error.ts';
import { quoted } from '../io/json.ts';
import { checkTogether } from './checks.ts';
import { applyOverride, parseOverride } from './overrides.ts';
import { parseYaml, type ParsedYaml } from './parse-yaml.ts';
import { defaultCacheDir, type Environment, resolvePaths } from './paths.ts';
import { type Problem, problemsOf } from './problem.ts';
import { type Config, configSchema } from './schema.ts';
import { expandShorthands, isMapping, nodeAt, type Path, pathText, valueAt } from './schema-node.ts';

/** Settings of `loadConfig`. */
export interface LoadConfigOptions {
  /** `--set` of the command line, each `key=value`; the last of the same key counts. @default [] */
  readonly set?: readonly string[];
  /** Variables for paths. @default process.env */
  readonly env?: Environment;
  /** The working directory, where written paths start. @default process.cwd() */
  readonly cwd?: string;
  /** Whether pictures and models that are named as paths have to be there. @default true */
  readonly checkFiles?: boolean;
}

/** A config that was found right. */
export interface LoadedConfig {
  readonly config: Config;
  /** The config's name, which its run has too: that of the file without its ending. */
  readonly name: string;
  /** What is allowed but probably not meant: sentences that begin with the place. */
  readonly warnings: readonly string[];
}

/** A config before it is checked: data, and where it is from. */
interface Draft {
  readonly label: string;
  readonly name: string;
  readonly folder: string;
  readonly yaml: Pick<ParsedYaml, 'value' | 'position'>;
}

const maxBytes = 2_000_000;

/**
 * Reads and checks a config file.
 * @throws UserError with all problems, each with its place, the value, and what to write instead
 */
export async function loadConfig(path: string, options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const text = await readText(path);
  const yaml = parseYaml(text);
  if (yaml.problems.length > 0) {
    throw problemList(
      path,
      yaml.problems.map(
        ({ position, message }) => `${path}${position ? `:${position.line}:${position.column}` : ''}: ${message}.`,
      ),
    );
  }
  const absolute = resolve(options.cwd ?? process.cwd(), path);
  // The resolved config of a run is runs/NAME/config.yaml.
  const name = basename(absolute, extname(absolute));
  return await checkDraft({ label: path, name, folder: dirname(absolute), yaml }, options);
}

/** Checks a config that a program made, written as in YAML; paths start at the working directory. */
export async function parseConfig(
  value: unknown,
  { name = 'config', ...options }: LoadConfigOptions & { readonly name?: string } = {},
): Promise<LoadedConfig> {
  const folder = options.cwd ?? process.cwd();
  return await checkDraft({ label: name, name, folder, yaml: { value, position: () => undefined } }, options);
}

async function readText(path: string): Promise<string> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) {
        throw new UserError(`${path} has ${size} bytes, a config at most ${maxBytes}; is it another file?`);
      }
      const bytes = await handle.readFile();
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof TypeError) {
      throw new UserError(`${path} is not text in UTF-8; save it so, or name a config file.`, { cause: error });
    }
    throw fileError(error, 'read', path);
  }
}

function problemList(label: string, sentences: readonly string[]): UserError {
  const unique = [...new Set(sentences)];
  if (unique.length === 1) return new UserError(unique.join(''));
  return new UserError(
    [`${label} has ${unique.length} problems:`, ...unique.map((sentence) => `  ${sentence}`)].join('\n'),
  );
}

/** Whether one path leads through the other. */
function touches(a: Path, b: Path): boolean {
  return a.slice(0, b.length).every((key, index) => String(key) === String(b[index]));
}

async function checkDraft(draft: Draft, options: LoadConfigOptions): Promise<LoadedConfig> {
  const { set = [], env = process.env, cwd = process.cwd(), checkFiles = true } = options;
  const { label, yaml } = draft;
  const sentences: string[] = [];

  let raw = expandShorthands(yaml.value);
  const overridden: { readonly path: Path; readonly text: string }[] = [];
  for (const text of set) {
    const override = parseOverride(text, raw);
    if (typeof override === 'string') {
      sentences.push(`--set ${quoted(text).slice(1, -1)}: ${override}.`);
      continue;
    }
    const applied = applyOverride(raw, override);
    if (typeof applied === 'string') {
      sentences.push(`--set ${quoted(text).slice(1, -1)}: ${applied}.`);
      continue;
    }
    overridden.unshift({ path: override.path, text });
    raw = expandShorthands(applied.config);
  }
  const overrideOf = (path: Path): string | undefined =>
    overridden.find(
      ({ path: set }) =>
        (touches(path, set) && path.length >= set.length) ||
        (touches(set, path) && valueAt(yaml.value, path) === undefined),
    )?.text;
  const place = (path: Path, part: 'key' | 'value'): string => {
    const text = overrideOf(path);
    if (text !== undefined) return `--set ${quoted(text).slice(1, -1)}`;
    const position = yaml.position(path, part);
    return position ? `${label}:${position.line}:${position.column}` : label;
  };
  const report = ({ path, part, message }: Problem): string => `${place(path, part)}: ${message}`;

  const paths = await resolvePaths(raw, {
    env,
    cwd,
    folder: draft.folder,
    fromCommandLine: (path) => overrideOf(path) !== undefined,
    checkFiles,
  });
  const { config: parsed, problems } = parseLeniently(paths.config);
  const all = [...problems, ...paths.problems].map((problem) => ({ ...problem, order: orderOf(problem, yaml) }));
  sentences.push(...all.toSorted((a, b) => a.order - b.order).map(report));

  const warnings: string[] = [];
  if (parsed) {
    const config: Config = {
      ...parsed,
      run_dir: parsed.run_dir ?? resolve(cwd, 'runs', draft.name),
      dataset: { ...parsed.dataset, cache_dir: parsed.dataset.cache_dir ?? defaultCacheDir(env) },
    };
    const wrong = all.map(({ path }) => path);
    const isGiven = (path: Path): boolean => {
      const value = valueAt(raw, path);
      return value !== undefined && !isDeepStrictEqual(value, nodeAt(raw, path)?.default);
    };
    for (const { level, paths: about, message } of checkTogether(config, isGiven)) {
      // What depends on an option that is wrong already would only mislead.
      if (about.some((path) => wrong.some((other) => touches(other, path) || touches(path, other)))) continue;
      const sentence = `${place(about[0], 'value')}: ${message}`;
      (level === 'error' ? sentences : warnings).push(sentence);
    }
    if (sentences.length === 0) return { config, name: draft.name, warnings };
  }
  throw problemList(label, sentences);
}

/** Problems are told in the order of the file; those of the command line at the end. */
function orderOf({ path, part }: Problem, yaml: Draft['yaml']): number {
  const position = yaml.position(path, part);
  return position ? position.line * 10_000 + position.column : Number.MAX_SAFE_INTEGER;
}

/**
 * Parses a config, and again without its wrong options, so that what is wrong between the others is found in the same
 * run. There is no config when even that fails.
 */
function parseLeniently(value: unknown): {
  readonly config: ReturnType<typeof configSchema.parse> | undefined;
  readonly problems: readonly Problem[];
} {
  const first = configSchema.safeParse(value);
  if (first.success) return { config: first.data, problems: [] };
  const problems = problemsOf(first.error.issues, value);
  let rest = value;
  for (const { path } of problems) rest = without(rest, path);
  const second = configSchema.safeParse(rest);
  if (second.success) return { config: second.data, problems };
  // Checks of whole sections run only when their parts are right, so these may be new.
  const more = second.error.issues.filter(
    ({ code, path }) =>
      code === 'custom' && !problems.some((problem) => pathText(problem.path.slice(0, path.length)) === path.join('.')),
  );
  return { config: undefined, problems: [...problems, ...problemsOf(more, rest)] };
}

/** A copy without the option at a path; without the whole list when it is an item. */
function without(value: unknown, path: Path): unknown {
  const [key, ...rest] = path;
  if (key === undefined || Array.isArray(value)) {
    if (Array.isArray(value) && typeof key === 'number' && rest.length > 0) {
      const item: unknown = without(value[key], rest);
      return item === undefined ? undefined : value.map((part: unknown, index) => (index === key ? item : part));
    }
    return undefined;
  }
  if (!isMapping(value)) return value;
  const inner = without(value[key], rest);
  const others = Object.entries(value).filter(([name]) => name !== String(key));
  return Object.fromEntries(inner === undefined ? others : [...others, [String(key), inner]]);
}
