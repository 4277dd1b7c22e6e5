import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { numberParser, parseAdapter } from '../../src/cli/sample-arguments.ts';
import { createProgressLine } from '../../src/cli/progress-line.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../../src/engine/onnxruntime.ts';
import { UserError } from '../../src/errors.ts';
import { errorCode } from '../../src/io/file-error.ts';
import { bundledModel, modelFolder } from '../../src/pipeline/model-folder.ts';
import { openPipeline, type SanaPipeline } from '../../src/pipeline/open-pipeline.ts';
import { type AdapterChoice, samplePipeline } from '../../src/pipeline/sample-pipeline.ts';
import { type Clip, openClip } from './clip.ts';
import { type Pixels, toPixels } from './pixels.ts';
import { openProbe, type Probe } from './probe.ts';
import { figures, type Judged, type JudgedSets, type WithAndWithout } from './scores.ts';
import { writeSheet } from './sheet.ts';
import { table } from './table.ts';
import { basePrompts, priorPrompts, type ScoredPrompt, subjectPrompts } from './world.ts';

const usage = `Usage: npm run pico:score -- [--model DIR] [--adapter FILE[:SCALE]] [--count N] [--sheet FILE.png] [--json]

Makes pictures of fixed prompts and seeds with this project's sampler (20 steps, guidance 4.5) and lets models/probe-pico
and models/clip-pico say what they show. The last line is a JSON object of figures in per cent.

  --model DIR      a SanaPipeline's folder; models/sana-pico by default
  --adapter FILE   an adapter of the dog of examples/dog: also measures the subject and what was lost of others
  --count N        pictures of the base prompts, 256 by default; the other sets become smaller with it
  --sheet FILE     also writes the first 64 pictures of each set side by side: FILE.png, FILE-subject.png ...
  --json           nothing but the JSON object`;

// What every figure of docs/sana-pico.md was measured with; another choice would be another measure.
const settings = { steps: 20, guidanceScale: 4.5, width: 256, height: 256 } as const;
const full = { base: 256, subject: 64, prior: 128 } as const;

const models = fileURLToPath(new URL('../../models/', import.meta.url));

/** What makes pictures and looks at them. */
interface Studio {
  readonly engine: Engine;
  readonly pipeline: SanaPipeline;
  readonly probe: Probe;
  readonly clip: Clip;
  readonly showProgress: (text: string) => void;
}

/** Makes the pictures of some prompts and judges each. */
async function judge(
  { engine, pipeline, probe, clip, showProgress }: Studio,
  title: string,
  prompts: readonly ScoredPrompt[],
  adapters: readonly AdapterChoice[],
): Promise<{ readonly judged: readonly Judged[]; readonly pictures: readonly Pixels[] }> {
  const requests = prompts.map(({ prompt, seed }) => ({ prompt, seed }));
  const pictures: Pixels[] = [];
  const sampled = samplePipeline({
    engine,
    pipeline,
    prompts: requests,
    adapters,
    ...settings,
    onProgress: ({ stage, index }) => showProgress(`${title}: ${stage} ${index + 1} of ${prompts.length}`),
  });
  for await (const { image } of sampled) pictures.push(toPixels(image));
  const judged: Judged[] = [];
  for (const [index, { prompt, expected }] of prompts.entries()) {
    const picture = pictures[index];
    if (!picture) throw new RangeError(`judge: no picture ${index}`);
    const seen = await probe.read(picture);
    judged.push({ expected, seen, similarity: await clip.similarity(picture, prompt) });
  }
  return { judged, pictures };
}

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: 'string', default: bundledModel },
      adapter: { type: 'string' },
      count: { type: 'string', default: String(full.base) },
      sheet: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const count = numberParser('--count', { least: 1, wholeOnly: true })(values.count);
  const adapter = values.adapter === undefined ? undefined : parseAdapter(values.adapter);
  const adapters = adapter ? [{ adapter: adapter.path, scale: adapter.scale }] : [];
  const progress = createProgressLine(process.stderr);
  const probe = await openProbe(join(models, 'probe-pico'));
  const clip = await openClip(join(models, 'clip-pico'));
  const pipeline = await openPipeline(modelFolder(values.model));
  const engine = createOnnxruntimeEngine();
  const studio = { engine, pipeline, probe, clip, showProgress: progress.show };

  async function score(
    title: string,
    prompts: readonly ScoredPrompt[],
    chosen: readonly AdapterChoice[],
  ): Promise<readonly Judged[]> {
    const start = performance.now();
    const { judged, pictures } = await judge(studio, title, prompts, chosen);
    progress.clear();
    const seconds = (performance.now() - start) / 1000;
    if (!values.json) console.error(`${title}: ${prompts.length} pictures in ${seconds.toFixed(0)} s`);
    if (values.sheet !== undefined) await writeSheet(sheetPath(values.sheet, title), pictures);
    return judged;
  }

  /** A part of the full set, at least one picture of it. */
  const part = (whole: number): number => Math.max(1, Math.min(whole, Math.round((whole * count) / full.base)));

  async function compare(title: string, prompts: readonly ScoredPrompt[]): Promise<WithAndWithout> {
    const adapted = await score(title, prompts, adapters);
    return { adapted, base: await score(`${title}-before`, prompts, []) };
  }

  try {
    const sets: JudgedSets = {
      base: await score('base', basePrompts(count), adapters),
      ...(adapter && {
        subject: await compare('subject', subjectPrompts(part(full.subject))),
        prior: await compare('prior', priorPrompts(part(full.prior))),
      }),
    };
    if (!values.json) console.log(table(sets));
    console.log(JSON.stringify(figures(sets)));
  } finally {
    progress.clear();
    await engine.close();
    await probe.close();
    await clip.close();
  }
}

/** `dog.png` for the base prompts, `dog-subject.png` for the subject's. */
function sheetPath(path: string, title: string): string {
  const stem = path.replace(/\.png$/i, '');
  return title === 'base' ? `${stem}.png` : `${stem}-${title}.png`;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const isMistake = error instanceof UserError || errorCode(error)?.startsWith('ERR_PARSE_ARGS') === true;
  console.error(isMistake && error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
