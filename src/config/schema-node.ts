import { z } from 'zod';

import { type OptionDocs, optionDocs } from './option.ts';
import { configSchema } from './schema.ts';

/** A part of the config's schema as plain data, in the words of JSON Schema; `docs` is what is known of the option. */
export interface SchemaNode {
  readonly type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null';
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  /** One schema for all items, or one an item. */
  readonly items?: SchemaNode | readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly const?: string | number | boolean;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly minItems?: number;
  readonly default?: unknown;
  readonly docs?: OptionDocs;
}

/** Keys and list indexes from the top of a config. */
export type Path = readonly (string | number)[];

/** A path as `dataset.sources.1.repeats`. */
export function pathText(path: Path): string {
  return path.join('.');
}

let root: SchemaNode | undefined;

/** The schema of a whole config. */
export function configNode(): SchemaNode {
  // Made when first asked for: only checking a config needs it.
  root ??= z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-7',
    override({ zodSchema, jsonSchema }) {
      const docs = optionDocs.get(zodSchema as unknown as z.ZodType); // the same object; z has two types for it
      if (docs) jsonSchema['docs'] = docs;
      // z.int() says its bounds, which are those of exact numbers and no news.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  }) as SchemaNode; // the part of JSON Schema that the schema's types lead to
  return root;
}

/** Whether a value is a mapping. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The alternatives of a node; itself if it has none. */
export function alternatives(node: SchemaNode): readonly SchemaNode[] {
  return (node.anyOf ?? node.oneOf)?.flatMap(alternatives) ?? [node];
}

/** Whether a mapping has the `name` or `type` that an alternative asks for. */
function isChosen(node: SchemaNode, value: Record<string, unknown>): boolean {
  return Object.entries(node.properties ?? {}).every(
    ([key, { const: constant }]) => constant === undefined || value[key] === constant,
  );
}

/** The alternatives that a value may be meant for: mappings for a mapping, those with its `name` or `type` if there are. */
export function alternativesFor(node: SchemaNode, value: unknown): readonly SchemaNode[] {
  const all = alternatives(node);
  if (Array.isArray(value)) return all.filter(({ type }) => type === 'array');
  if (!isMapping(value)) return all.filter(({ type }) => type !== 'array' && type !== 'object');
  const mappings = all.filter(({ type }) => type === 'object');
  const chosen = mappings.filter((mapping) => isChosen(mapping, value));
  return chosen.length > 0 ? chosen : mappings;
}

/** The node of a key or an index of a value, whose own node is `node`. */
export function childNode(node: SchemaNode, value: unknown, key: string | number): SchemaNode | undefined {
  const alternatives =
    value === undefined || value === null
      ? alternativesFor(node, typeof key === 'number' ? [] : {})
      : alternativesFor(node, value);
  for (const { properties, additionalProperties, items } of alternatives) {
    if (typeof key === 'number' && items) return 'length' in items ? items[key] : items;
    if (properties && Object.hasOwn(properties, key)) return properties[key];
    if (typeof additionalProperties === 'object' && !properties) return additionalProperties;
  }
  return undefined;
}

/** The node at a path of a value. */
export function nodeAt(value: unknown, path: Path): SchemaNode | undefined {
  let node: SchemaNode | undefined = configNode();
  let at = value;
  for (const key of path) {
    if (!node) return undefined;
    node = childNode(node, at, key);
    at = childValue(at, key);
  }
  return node;
}

/** The value of a key or index; undefined where there is none. */
export function childValue(value: unknown, key: string | number): unknown {
  if (Array.isArray(value)) return typeof key === 'number' ? value[key] : undefined;
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The value at a path. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce(childValue, value);
}

/**
 * A copy of a value in which `change` has replaced what it returns another value for, from the top down.
 * Only parts that the schema knows are visited.
 */
export function mapOptions(
  value: unknown,
  change: (value: unknown, node: SchemaNode, path: Path) => unknown,
  node: SchemaNode = configNode(),
  path: Path = [],
): unknown {
  const changed = change(value, node, path);
  const child = (key: string | number, part: unknown): unknown => {
    const inner = childNode(node, changed, key);
    return inner ? mapOptions(part, change, inner, [...path, key]) : part;
  };
  if (Array.isArray(changed)) return changed.map((part, index) => child(index, part));
  if (!isMapping(changed)) return changed;
  // defineProperty, for a key `__proto__` is a key like any other here.
  const copy: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(changed)) {
    Object.defineProperty(copy, key, { value: child(key, part), enumerable: true, writable: true, configurable: true });
  }
  return copy;
}

/**
 * Replaces texts that are short for a mapping by the mapping, `model: X` by `model: { path: X }`, and sections without
 * a line, as when all of them are commented out, by empty ones.
 */
export function expandShorthands(value: unknown): unknown {
  return mapOptions(value, (part, node, path) => {
    const key = node.docs?.shorthand;
    if (typeof part === 'string' && key !== undefined) return { [key]: part };
    return part === null && path.length === 1 && node.type === 'object' ? {} : part;
  });
}
