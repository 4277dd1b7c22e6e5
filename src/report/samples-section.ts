import { join } from 'node:path';

import { type Html, html } from './html.ts';
import { type InlinePicture, inlinePicture } from './inline-picture.ts';
import type { RunRecord, SampleRecord } from './run-record.ts';

/** Pictures in all of a page, at most: with 20 kB each it stays a file that can be sent. */
const mostPictures = 600;

/** A prompt with its pictures in each run. */
interface Prompt {
  readonly key: string;
  readonly prompt: string;
  readonly seed: number;
  /** As many as there are runs. */
  readonly runs: SampleRecord[][];
}

/**
 * The same prompt with the same seed is the same picture in every run. Where a run has it several times, with other
 * settings, the first belongs to the first of the other runs and so on.
 */
function promptsOf(records: readonly RunRecord[]): readonly Prompt[] {
  const prompts = new Map<string, Prompt>();
  for (const [run, { samples }] of records.entries()) {
    const indices = new Map<string, number[]>();
    for (const sample of samples) {
      const same = JSON.stringify([sample.prompt, sample.seed]);
      const seen = indices.get(same) ?? [];
      if (!seen.includes(sample.index)) seen.push(sample.index);
      indices.set(same, seen);
      const key = `${seen.indexOf(sample.index)} ${same}`;
      const found = prompts.get(key) ?? {
        key,
        prompt: sample.prompt,
        seed: sample.seed,
        runs: records.map((): SampleRecord[] => []),
      };
      prompts.set(key, found);
      found.runs[run]?.push(sample);
    }
  }
  return [...prompts.values()];
}

/** At most `count` of a list, evenly, with the first and the last. */
export function thinned<T>(list: readonly T[], count: number): readonly T[] {
  if (list.length <= count) return list;
  const kept = new Set(
    Array.from({ length: count }, (_, i) => Math.round((i * (list.length - 1)) / Math.max(1, count - 1))),
  );
  return list.filter((_, i) => kept.has(i));
}

async function runFigure(
  { runDir, label }: RunRecord,
  samples: readonly SampleRecord[],
  side: number,
  color: number | undefined,
): Promise<Html> {
  const pictures: { readonly sample: SampleRecord; readonly picture: InlinePicture }[] = [];
  for (const sample of samples) {
    const picture = await inlinePicture(join(runDir, sample.path), side);
    if (picture) pictures.push({ sample, picture });
  }
  const newest = pictures.at(-1);
  if (!newest) return html`<p class="quiet">${label}: its pictures are gone</p>`;
  return html`<figure>
    ${pictures.map(
      ({ sample: { step, prompt }, picture: { url, width, height } }) =>
        html`<img
          src="${url}"
          width="${width}"
          height="${height}"
          data-step="${step}"
          alt="“${prompt}” at step ${step} of ${label}"
          ${step !== newest.sample.step && html`hidden`}
        />`,
    )}
    ${color !== undefined && html`<figcaption><span class="key c${color}">${label}</span> <span class="at">step ${newest.sample.step}</span></figcaption>`}
  </figure>`;
}

/** The pictures of every prompt, runs beside one another, with a slider over steps. */
export async function samplesSection(records: readonly RunRecord[]): Promise<Html> {
  const prompts = promptsOf(records);
  if (prompts.length === 0) return html``;
  const strips = prompts.reduce((sum, { runs }) => sum + runs.filter(({ length }) => length > 0).length, 0);
  const perStrip = Math.max(2, Math.floor(mostPictures / strips));
  const side = prompts.reduce((sum, { runs }) => sum + runs.flat().length, 0) > mostPictures / 4 ? 320 : 512;
  const cards: Html[] = [];
  for (const [i, { prompt, seed, runs }] of prompts.entries()) {
    const shown = runs.map((samples) => thinned(samples, perStrip));
    const steps = [...new Set(shown.flatMap((samples) => samples.map(({ step }) => step)))].sort((a, b) => a - b);
    const figures: Html[] = [];
    for (const [run, record] of records.entries()) {
      const samples = shown[run] ?? [];
      if (samples.length > 0)
        figures.push(await runFigure(record, samples, side, records.length > 1 ? run % 8 : undefined));
    }
    const newest = steps.at(-1) ?? 0;
    cards.push(
      html`<div class="prompt" role="group" aria-labelledby="prompt-${i}">
        <h3 id="prompt-${i}">${prompt === '' ? 'no prompt' : prompt}</h3>
        <div class="runs">${figures}</div>
        <label
          >Step<input
            type="range"
            min="0"
            max="${steps.length - 1}"
            value="${steps.length - 1}"
            aria-valuetext="step ${newest}"
            data-steps="${JSON.stringify(steps)}"
          /><span class="value" aria-hidden="true">step ${newest}</span></label
        >
        <p class="quiet">seed ${seed}</p>
      </div>`,
    );
  }
  return html`<section aria-labelledby="samples">
    <h2 id="samples">Samples</h2>
    <p>
      <label><input type="checkbox" id="together" checked /> Move all prompts together</label>
    </p>
    <div class="prompts${records.length > 1 && ' several'}">${cards}</div>
  </section>`;
}
