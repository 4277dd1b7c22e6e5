import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { alternatives, configNode, type SchemaNode } from '../../../src/config/schema-node.ts';
import { generatedDocs } from '../../../tools/docs/generated-docs.ts';

describe('npm run docs', () => {
  it('has been run since src/config changed', async () => {
    for (const [path, text] of await generatedDocs()) {
      expect(readFileSync(path, 'utf8') === text, `${path} is out of date: run npm run docs`).toBe(true);
    }
  });
});

function* options(node: SchemaNode, path: string): Generator<readonly [path: string, node: SchemaNode]> {
  for (const { properties = {}, items } of alternatives(node)) {
    for (const [name, inner] of Object.entries(properties)) {
      yield [`${path}${name}`, inner];
      yield* options(inner, `${path}${name}.`);
    }
    if (items && !('length' in items)) yield* options(items, `${path}0.`);
  }
}

describe('the schema', () => {
  const all = [...options(configNode(), '')];

  it('documents every option', () => {
    const bare = all.filter(
      ([path, { docs, const: constant }]) => !docs?.about && constant === undefined && !path.includes('prompts.0.'),
    );
    expect(bare.map(([path]) => path)).toEqual([]);
  });

  it('documents no part of an option as another option', () => {
    // A schema that two options share would take the documentation, and the rules for paths, of the last of them.
    for (const [path, node] of all) {
      const parts = alternatives(node).flatMap(({ items }) =>
        items && !('length' in items) ? [items] : (items ?? []),
      );
      const inner = [...parts, ...(node.anyOf ?? [])].filter(
        (part) => part !== node && part.docs && part.type !== 'object',
      );
      expect(
        inner.map(({ docs }) => docs?.about),
        path,
      ).toEqual([]);
    }
  });

  it('is in snake_case', () => {
    expect(all.map(([path]) => path).filter((path) => !/^[a-z0-9_.]+$/.test(path))).toEqual([]);
  });

  it('has no option under the name that another section lists as an other name of its own', () => {
    for (const [path, { docs }] of all) {
      const siblings = all
        .map(([other]) => other)
        .filter((other) => other.split('.').slice(0, -1).join('.') === path.split('.').slice(0, -1).join('.'));
      const names = siblings.map((other) => other.split('.').at(-1) ?? '');
      expect(docs?.otherNames?.filter((name) => names.includes(name)) ?? [], path).toEqual([]);
    }
  });
});
