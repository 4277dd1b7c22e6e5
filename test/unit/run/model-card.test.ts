import { join } from 'node:path';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { loadConfig } from '../../../src/config/load-config.ts';
import { modelCard } from '../../../src/run/model-card.ts';

const dog = join(import.meta.dirname, '..', '..', '..', 'configs', 'dog.yaml');

/** The card of a run by configs/dog.yaml with other settings, and what the hub reads of it. */
async function card(set: readonly string[] = []): Promise<{ readonly text: string; readonly data: unknown }> {
  const { config } = await loadConfig(dog, { set, checkFiles: false });
  const pictures = [{ name: 'samples/1.png', prompt: 'sks "dog": [a|b]', seed: 3 }];
  const text = modelCard(config, ['diffusers'], { runDir: join('runs', 'rex'), samples: [], chiName: null }, pictures);
  return { text, data: parse(text.split('---\n')[1] ?? '') };
}

describe('modelCard', () => {
  it("is called as the run's folder, or as the config says", async () => {
    expect((await card()).text).toContain('\n# rex\n');
    expect((await card(['export.title=Rex the dog', 'export.author=me'])).text).toMatch(
      /\n# Rex the dog\n\n.* by me\./,
    );
  });

  it('tells the hub what it is of, whatever characters names and prompts have', async () => {
    expect((await card()).data).toMatchObject({
      base_model: 'sana-pico',
      library_name: 'diffusers',
      instance_prompt: 'sks',
      widget: [{ text: 'sks "dog": [a|b]', output: { url: 'samples/1.png' } }],
    });
    const { data, text } = await card(['model.path=/models/sana: "mine"', 'export.license=apache-2.0']);
    expect(data).toMatchObject({ base_model: 'sana: "mine"', license: 'apache-2.0' });
    expect(text).toContain('![sks "dog": \\[a|b\\]](samples/1.png)');
  });
});
