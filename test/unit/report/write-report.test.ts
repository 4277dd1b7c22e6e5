import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { formatConfig } from '../../../src/config/resolved-config.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { TrainEvent } from '../../../src/events.ts';
import { writeBytes, writeText } from '../../../src/io/atomic-write.ts';
import { readRunRecord } from '../../../src/report/run-record.ts';
import { writeReport } from '../../../src/report/write-report.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'));
});
afterEach(() => rm(folder, { recursive: true }));

const seconds = { data: 0.1, compute: 0.8, update: 0.1 };
const step = (step: number, loss: number): TrainEvent => ({
  kind: 'step',
  step,
  maxTrainSteps: 4,
  loss,
  gradNorm: 1,
  learningRate: 1e-4,
  seconds,
  examples: [{ id: 'dog/1.png', sigma: 0.5, loss }],
  memoryMiB: 100 + step,
});
const metrics = (step: number, clipI: number): TrainEvent => {
  const measured = { index: 0, prompt: 'a <b>dog</b>', seed: 7, clipI, clipT: 0.25 };
  const cat = { index: 1, prompt: 'another', seed: 7, clipI: 0.1, clipT: 0.3, clipIToStart: 0.9 };
  return {
    kind: 'metrics',
    step,
    model: 'clip-pico',
    samples: [
      { ...measured, role: 'subject' },
      { ...cat, role: 'class' },
    ],
    subject: { clipI, clipT: 0.25 },
    class: { clipI: 0.1, clipT: 0.3, clipIToStart: 0.9 },
    seconds: 1,
  };
};
const sample = (step: number, index = 0): TrainEvent => ({
  kind: 'sample',
  step,
  index,
  prompt: index === 1 ? 'another' : 'a <b>dog</b>',
  seed: 7,
  path: `samples/${index + 1}/${step}.png`,
  seconds: 2,
});

/** A run's folder of such events, a second apart, with their pictures. */
async function writeRun(name: string, events: readonly TrainEvent[]): Promise<string> {
  const runDir = join(folder, name);
  const parsed = configSchema.parse({
    model: { path: '/secret/place/sana' },
    dataset: { sources: [{ path: '/secret/dog' }] },
    lora: { rank: 8 },
  });
  const config = { ...parsed, dataset: { ...parsed.dataset, cache_dir: '/secret/cache' }, run_dir: runDir };
  await writeText(join(runDir, 'config.yaml'), formatConfig(config));
  const run: TrainEvent = {
    kind: 'run',
    name: 'dog',
    runDir,
    model: '/secret/place/sana',
    firstStep: 0,
    maxTrainSteps: 4,
    config,
  };
  const lines = [run, ...events].map((event, i) => JSON.stringify({ ...event, time: 1_700_000_000_000 + i * 1000 }));
  await writeText(join(runDir, 'events.jsonl'), `${lines.join('\n')}\n`);
  const png = await sharp({ create: { width: 32, height: 32, channels: 3, background: 'teal' } })
    .png()
    .toBuffer();
  for (const event of events) if (event.kind === 'sample') await writeBytes(join(runDir, event.path), png);
  return runDir;
}

describe('readRunRecord', () => {
  it('forgets what a resumed run makes again', async () => {
    const resumed: TrainEvent = {
      kind: 'run',
      name: 'dog',
      runDir: '',
      model: 'm',
      firstStep: 1,
      maxTrainSteps: 4,
      config: {},
    };
    const runDir = await writeRun('dog', [
      step(1, 4),
      step(2, 9),
      sample(2),
      resumed,
      step(2, 3),
      { kind: 'end', reason: 'stopped', step: 2 },
    ]);
    const { loss, samples, state, peakMemoryMiB } = await readRunRecord(runDir);
    expect(loss.points().map(({ to, mean }) => [to, mean])).toEqual([
      [1, 4],
      [2, 3],
    ]);
    expect(samples).toEqual([]);
    expect([state, peakMemoryMiB]).toEqual(['stopped', 102]);
  });

  it('says what a folder is when it is no run', async () => {
    await expect(readRunRecord(folder)).rejects.toThrow(/holds no run/);
    await expect(readRunRecord(join(folder, 'none'))).rejects.toThrow(/There is no folder/);
  });
});

describe('writeReport', () => {
  it('puts a run into one file that needs no other and tells nothing of the machine', async () => {
    const runDir = await writeRun('dog', [
      sample(0),
      step(1, 2),
      step(2, 1),
      sample(2),
      { kind: 'warning', message: '/secret/place/dog.yaml:3:1: and/or the disk of C:\\\\secret\\\\x is nearly full' },
      { kind: 'export', format: 'diffusers', path: 'adapter/x.safetensors' },
      { kind: 'end', reason: 'done', step: 2 },
    ]);
    const out = join(folder, 'page.html');
    await writeReport([runDir], out);
    const page = await readFile(out, 'utf8');
    expect(page).toContain('a &lt;b&gt;dog&lt;/b&gt;');
    expect(page).not.toContain('<b>dog');
    expect(page.match(/src="data:image\/webp;base64,/g)).toHaveLength(2);
    expect(page).not.toMatch(/(src|href)="(?!data:|#)/);
    expect(page).not.toContain('/secret');
    expect(page).toContain('dog.yaml:3:1: and/or the disk of x is nearly full');
    expect(page).toMatch(/lora\.rank[^]*?<td>8<\/td>\s*<td class="quiet">16/);
    expect(page).toContain('pipe.load_lora_weights');
    expect(page).toMatch(/<input[^>]*type="range"[^>]*data-steps="\[0,2\]"/);
  });

  it('puts the same prompts of several runs beside one another', async () => {
    const a = await writeRun('a', [sample(0), sample(2), step(2, 1)]);
    const b = await writeRun('b', [sample(0), sample(4), sample(4, 1), step(4, 1)]);
    const out = join(folder, 'page.html');
    await writeReport([a, b], out);
    const page = await readFile(out, 'utf8');
    expect(page.match(/data-steps="[^"]*"/g)).toEqual(['data-steps="[0,2,4]"', 'data-steps="[4]"']);
    expect(page).toContain('--runs:2');
    expect(page).toContain('a: smoothed');
    expect(page).toContain('b: smoothed');
  });

  it('keeps prompts apart that differ in their settings alone', async () => {
    const a = await writeRun('a', [sample(0), sample(0, 2), sample(2), sample(2, 2)]);
    const b = await writeRun('b', [sample(0), sample(0, 2), sample(4)]);
    const out = join(folder, 'page.html');
    await writeReport([a, b], out);
    const page = await readFile(out, 'utf8');
    expect(page.match(/data-steps="[^"]*"/g)).toEqual(['data-steps="[0,2,4]"', 'data-steps="[0,2]"']);
  });

  it('shows what was measured: at each picture, as curves, first and last in a table; runs beside one another', async () => {
    const events = [sample(0), sample(0, 1), metrics(0, 0.125), sample(2), sample(2, 1), metrics(2, 0.75)];
    const runDir = await writeRun('a', [...events, step(2, 1)]);
    const out = join(folder, 'page.html');
    await writeReport([runDir], out);
    const page = (await readFile(out, 'utf8')).replaceAll(/\s+/g, ' ');
    expect(page).toContain('data-scores="CLIP-I 0.75 · CLIP-T 0.25"');
    expect(page).toContain('data-scores="as at step 0 0.90 · CLIP-T 0.30"');
    expect(page).toContain('CLIP-I by step: a &lt;b&gt;dog&lt;/b&gt; from 0.125 to 0.75');
    expect(page).toContain('As at step 0 by step: another from 0.9 to 0.9');
    expect(page).toMatch(/0\.125 → <\/span\s*>0\.750/);
    expect(page).toMatch(/<dt>CLIP-I<\/dt> <dd>0\.750<small>from 0\.125</);

    const other = await writeRun('b', [sample(0), metrics(0, 0.5), step(1, 1)]);
    await writeReport([runDir, other], out);
    const compared = (await readFile(out, 'utf8')).replaceAll(/\s+/g, ' ');
    expect(compared).toContain('CLIP-I by step: a from 0.125 to 0.75; b from 0.5 to 0.5');
  });

  it('keeps a long run of many pictures small, and says what it left out', async () => {
    const steps = Array.from({ length: 5000 }, (_, i) => step(i + 1, i === 3210 ? 40 : 1 + (i % 10) / 100));
    const samples = Array.from({ length: 700 }, (_, i) => sample(10 * i));
    const runDir = await writeRun('long', [...steps, ...samples]);
    const out = join(folder, 'page.html');
    await writeReport([runDir], out);
    const page = await readFile(out, 'utf8');
    expect(page.length).toBeLessThan(2_000_000);
    expect(page.match(/data-step="/g)).toHaveLength(600);
    expect(page).toContain('Of each prompt 600 steps are here');
    expect(page).toContain('a point is the mean of up to 8 steps');
    expect(page).toMatch(/Beyond the plot, at most: loss 40 near step 32\d\d\./);
  }, 60_000);

  it('tells captions and scores of the pictures, by their contents', async () => {
    const runDir = await writeRun('a', [step(1, 1)]);
    const row = { picture: '1.png', captioner: 'florence', text: 'a <dog>', score: 27.31, settings: { words: 2 } };
    const older = [
      { ...row, text: 'an old word', settings: { words: 1 } },
      { ...row, score: 12.5 },
    ];
    const rows = [...older, row].map((row) => JSON.stringify(row));
    await writeText(join(runDir, 'captions.jsonl'), `${rows.join('\n')}\nno json\n`);
    const out = join(folder, 'page.html');
    await writeReport([runDir], out);
    const page = await readFile(out, 'utf8');
    expect(page).toMatch(/a &lt;dog&gt;\s*<span class="quiet"\s*>florence, 27\.3</);
    expect(page).not.toContain('12.5');
    expect(page).not.toContain('an old word');
  });
});
