import { parseYaml } from './parse-yaml.ts';
import {
  alternatives,
  childNode,
  childValue,
  configNode,
  isMapping,
  nodeAt,
  type Path,
  pathText,
  type SchemaNode,
} from './schema-node.ts';

/** A `--set key=value` that was understood. */
export interface Override {
  /** As it was written. */
  readonly text: string;
  readonly path: Path;
  readonly value: unknown;
}

/** Whether a node takes texts, and nothing else but null and words. */
function isText(node: SchemaNode | undefined): boolean {
  const kinds = node ? alternatives(node) : [];
  return (
    kinds.some(({ type, enum: words }) => type === 'string' && !words) &&
    kinds.every(({ type }) => type === 'string' || type === 'null')
  );
}

/** The keys of `a.b.0.c`; in a mapping with free keys, such as `lora.rank_pattern`, all that is left is the key. */
function splitKey(key: string, config: unknown): Path {
  const path: (string | number)[] = [];
  const words = key.split('.');
  let node: SchemaNode | undefined = configNode();
  let value = config;
  for (const [index, word] of words.entries()) {
    const kinds: readonly SchemaNode[] = node ? alternatives(node) : [];
    const free = kinds.some(
      ({ properties, additionalProperties }) => !properties && typeof additionalProperties === 'object',
    );
    const isIndex = /^\d+$/.test(word) && kinds.some(({ type }) => type === 'array');
    const step = free ? words.slice(index).join('.') : isIndex ? Number(word) : word;
    path.push(step);
    if (free) break;
    node = node && childNode(node, value, step);
    value = childValue(value, step);
  }
  return path;
}

/**
 * Reads `key=value`, the value as YAML; where the option is a text it is taken as it stands, unless it is quoted.
 * @param config the config so far, as far as it decides what a key means
 * @returns the override, or a sentence about what is wrong
 */
export function parseOverride(text: string, config: unknown): Override | string {
  const equals = text.indexOf('=');
  const key = text.slice(0, equals).trim();
  if (equals < 0 || key === '' || key.split('.').includes('')) {
    return 'it is not KEY=VALUE; write for example --set train.max_train_steps=1000';
  }
  const path = splitKey(key, config);
  const valueText = text.slice(equals + 1);
  const { value, problems } = parseYaml(valueText);
  const isQuoted = /^\s*["']/.test(valueText);
  const node = nodeAt(config, path);
  const isShort = node?.docs?.shorthand !== undefined && !/^\s*\{/.test(valueText);
  if (
    (isText(node) || isShort) &&
    !isQuoted &&
    (problems.length > 0 || (value !== null && typeof value !== 'string'))
  ) {
    return { text, path, value: valueText };
  }
  const [problem] = problems;
  return problem ? `its value is not YAML: ${problem.message}` : { text, path, value };
}

/** Puts a value into a copy of a config; a sentence when there is no such place. */
export function applyOverride(config: unknown, { path, value }: Override): { readonly config: unknown } | string {
  const copy: unknown = structuredClone(config ?? {});
  let at: unknown = copy;
  for (const [depth, key] of path.slice(0, -1).entries()) {
    const inner = childValue(at, key);
    if (inner === undefined || inner === null) {
      const node = nodeAt(copy, path.slice(0, depth + 1));
      const next =
        typeof path[depth + 1] === 'number' && node && alternatives(node).some(({ type }) => type === 'array')
          ? []
          : {};
      const problem = assign(at, key, next, path.slice(0, depth + 1));
      if (problem !== undefined) return problem;
      at = next;
    } else {
      at = inner;
    }
  }
  const last = path.at(-1);
  const problem = last === undefined ? undefined : assign(at, last, value, path);
  return problem ?? { config: copy };
}

function assign(target: unknown, key: string | number, value: unknown, path: Path): string | undefined {
  if (Array.isArray(target) && typeof key === 'number') {
    if (key > target.length)
      return `${pathText(path.slice(0, -1))} has ${target.length} in its list; the next is ${pathText([...path.slice(0, -1), target.length])}`;
    target[key] = value;
    return undefined;
  }
  if (!isMapping(target)) return `${pathText(path.slice(0, -1))} has no keys`;
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
  return undefined;
}
