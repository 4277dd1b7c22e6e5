import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Command } from 'commander';
import { z } from 'zod';

import { loadDatasets } from '../datasets/load-datasets.ts';
import { bundledCaptioners } from '../src/caption/bundled-models.ts';
import type { MadeCaption } from '../src/caption/caption-pictures.ts';
import { bestCaption, captionStage } from '../src/caption/caption-stage.ts';
import { parseConfig } from '../src/config/load-config.ts';
import { addCaptionCostCommands } from './caption-costs.ts';

const scenesSchema = z.array(z.object({ picture: z.string(), animal: z.string(), coat: z.string() }));
type Scene = z.output<typeof scenesSchema>[number];

/** Whether a caption says "COAT ANIMAL", with at most a pattern between: colours of clothes do not count. */
function isRight({ animal, coat }: Scene, text: string | undefined): boolean {
  return text !== undefined && new RegExp(`\\b${coat}\\s+(?:\\w+\\s+)?${animal}\\b`, 'i').test(text);
}

/**
 * Adds `bench captions VENV`: on held-out pictures of sana-pico's world, how often each bundled captioner names the right
 * animal in the right colour, and how often the caption does that CLIPScore prefers; and what captioning costs.
 */
export function addCaptionsCommand(program: Command): void {
  addCaptionCostCommands(program);
  program
    .command('captions')
    .description('right animal and colour: each captioner, and the best caption by CLIPScore')
    .argument('<venv>', 'a Python environment with tools/pico/requirements.txt, which draws the pictures')
    .option('--count <n>', 'pictures', Number, 200)
    .action(async (venv: string, { count }: { readonly count: number }) => {
      const folder = await mkdtemp(join(tmpdir(), 'sana-captions-'));
      try {
        const pictures = join(folder, 'pictures');
        const draw = join(import.meta.dirname, '..', 'tools', 'pico', 'held_out.py');
        await promisify(execFile)(join(venv, 'bin', 'python'), [draw, pictures, '--count', String(count)]);
        const scenes = scenesSchema.parse(JSON.parse(await readFile(join(pictures, 'scenes.json'), 'utf8')));
        await measure(folder, pictures, scenes);
      } finally {
        await rm(folder, { recursive: true });
      }
    });
}

async function measure(folder: string, pictures: string, scenes: readonly Scene[]): Promise<void> {
  const { config } = await parseConfig({
    model: 'sana-pico',
    dataset: { path: pictures, cache_dir: join(folder, 'cache') },
    caption: { captioners: bundledCaptioners.map((model) => ({ type: 'transformers', model })) },
    run_dir: join(folder, 'run'),
  });
  const datasets = await loadDatasets([{ folder: pictures, name: 'held out', resolutions: [256] }]);
  const start = performance.now();
  const stage = captionStage(config, 'bench', datasets);
  for (;;) {
    const { value, done } = await stage.next();
    if (done !== true) continue;
    const seconds = (performance.now() - start) / 1000;
    const byName = new Map(value.pictures.map(({ example, captions }) => [example.picture.name, captions]));
    const share = (pick: (captions: readonly MadeCaption[]) => MadeCaption | undefined): string => {
      const right = scenes.filter((scene) => isRight(scene, pick(byName.get(scene.picture) ?? [])?.text)).length;
      return `${((100 * right) / scenes.length).toFixed(1)}%`;
    };
    const rows = [
      ...bundledCaptioners.map((name) => [name, share((all) => all.find(({ source }) => source === name))] as const),
      ['best by CLIPScore', share(bestCaption)] as const,
    ];
    console.log('| captions | right animal and colour |\n| --- | --- |');
    for (const [name, right] of rows) console.log(`| ${name} | ${right} |`);
    console.log(`\n${scenes.length} held-out pictures, ${(scenes.length / seconds).toFixed(1)} pictures/s`);
    return;
  }
}
