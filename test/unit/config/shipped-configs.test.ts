import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

import { loadConfig } from '../../../src/config/load-config.ts';
import { changesFromDefaults } from '../../../src/config/resolved-config.ts';
import { isMapping } from '../../../src/config/schema-node.ts';

const files = readdirSync('configs').filter((file) => file.endsWith('.yaml'));
const editorSchema: unknown = JSON.parse(readFileSync('docs/config.schema.json', 'utf8'));

describe('configs/', () => {
  it('has the configs that the README names', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        '4k.yaml',
        'dog-1600m-1024.yaml',
        'dog-600m-512.yaml',
        'dog.yaml',
        'laptop-16gb.yaml',
        'prior-preservation.yaml',
        'style-600m.yaml',
        'two-subjects.yaml',
      ]),
    );
  });

  it.each(files)('%s loads without a warning', async (file) => {
    const { config, warnings, name } = await loadConfig(`configs/${file}`);
    expect(warnings).toEqual([]);
    expect(`${name}.yaml`).toBe(file);
    expect(config.sample.prompts.length).toBeGreaterThan(0);
  });

  it.each(files)('%s says only what differs from the defaults', async (file) => {
    const { config } = await loadConfig(`configs/${file}`);
    const changed = changesFromDefaults(config).map(({ option }) => option);
    const data: unknown = parse(readFileSync(`configs/${file}`, 'utf8'));
    for (const section of ['lora', 'train', 'sample'] as const) {
      const said = isMapping(data) && isMapping(data[section]) ? Object.keys(data[section]) : [];
      expect(changed).toEqual(expect.arrayContaining(said.map((option) => `${section}.${option}`)));
    }
  });

  it.each(files)('%s has the schema line for editors, and is right by that schema', (file) => {
    const text = readFileSync(`configs/${file}`, 'utf8');
    expect(text).toMatch(/^# yaml-language-server: \$schema=\.\.\/docs\/config\.schema\.json\n# /);
    expect(text).toMatch(/\((estimate|measured)\)/);
    const schema = z.fromJSONSchema(editorSchema as Parameters<typeof z.fromJSONSchema>[0]);
    const parsed = schema.safeParse(parse(text));
    expect(parsed.error?.issues ?? []).toEqual([]);
  });
});

describe('docs/config.schema.json', () => {
  it('refuses what loading refuses', () => {
    const schema = z.fromJSONSchema(editorSchema as Parameters<typeof z.fromJSONSchema>[0]);
    const right = { model: 'sana-pico', dataset: 'photos', train: null };
    expect(schema.safeParse(right).success).toBe(true);
    expect(schema.safeParse({ ...right, lora: { rank: 0 } }).success).toBe(false);
    expect(schema.safeParse({ ...right, lora: { rnak: 4 } }).success).toBe(false);
    expect(schema.safeParse({ ...right, train: { optimizer: 'adam' } }).success).toBe(false);
  });
});
