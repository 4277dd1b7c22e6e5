import { join } from 'node:path';

import { type Html, html } from './html.ts';
import { type InlinePicture, inlinePicture } from './inline-picture.ts';
import type { RunRecord, SampleRecord } from './run-record.ts';

/** Pictures in all of a page, and bytes in all of them, at most: so it stays a file that can be sent and opened. */
const [mostPictures, mostBytes] = [600, 12_000_000];

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

/** What was measured of a sample, in words. */
function scoresOf({ metrics }: RunRecord, { step, index }: SampleRecord): string {
  const found = metrics.find((at) => at.step === step)?.samples.find((sample) => sample.index === index);
  if (!found) return '';
  const { role, clipI, clipT, clipIToStart } = found;
  const kept = clipIToStart === undefined ? [] : [`as at step 0 ${clipIToStart.toFixed(2)}`];
  return [...(role === 'subject' ? [`CLIP-I ${clipI.toFixed(2)}`] : kept), `CLIP-T ${clipT.toFixed(2)}`].join(' · ');
}

async function runFigure(
  record: RunRecord,
  samples: readonly SampleRecord[],
  { side, bytes }: { readonly side: number; readonly bytes: number },
  color: number | undefined,
): Promise<Html> {
  const { runDir, label } = record;
  const pictures: { readonly sample: SampleRecord; readonly scores: string; readonly picture: InlinePicture }[] = [];
  for (const sample of samples) {
    const picture = await inlinePicture(join(runDir, sample.path), side, bytes);
    if (picture) pictures.push({ sample, scores: scoresOf(record, sample), picture });
  }
  const newest = pictures.at(-1);
  if (!newest) return html`<p class="quiet">${label}: its pictures are gone</p>`;
  const hasScores = pictures.some(({ scores }) => scores !== '');
  return html`<figure>
    ${pictures.map(
      ({ sample: { step, prompt }, scores, picture: { url, width, height } }) =>
        html`<img
          src="${url}"
          width="${width}"
          height="${height}"
          decoding="async"
          data-step="${step}"
          alt="“${prompt}” at step ${step} of ${label}"
          ${scores !== '' && html`data-scores="${scores}"`}
          ${step !== newest.sample.step && html`hidden`}
        />`,
    )}
    ${
      (color !== undefined || hasScores) &&
      html`<figcaption>
        ${color !== undefined && html`<span class="key c${color}"><b>${label}</b></span> <span class="at">step ${newest.sample.step}</span>`}
        ${hasScores && html`<span class="scores">${newest.scores}</span>`}
      </figcaption>`
    }
  </figure>`;
}

/** Whether a prompt asks for the class alone, as far as runs know. */
function isClassPrompt(records: readonly RunRecord[], runs: readonly (readonly SampleRecord[])[]): boolean {
  return records.some(({ metrics }, run) => {
    const index = runs[run]?.[0]?.index;
    return metrics.at(-1)?.samples.some((sample) => sample.index === index && sample.role === 'class') === true;
  });
}

/** The pictures of every prompt, runs beside one another, with a slider over steps. */
export async function samplesSection(records: readonly RunRecord[]): Promise<Html> {
  const prompts = promptsOf(records);
  if (prompts.length === 0) return html``;
  const strips = prompts.reduce((sum, { runs }) => sum + runs.filter(({ length }) => length > 0).length, 0);
  const perStrip = Math.max(2, Math.floor(mostPictures / strips));
  const count = prompts.reduce(
    (sum, { runs }) => sum + runs.reduce((sum, samples) => sum + Math.min(perStrip, samples.length), 0),
    0,
  );
  const size = { side: count > mostPictures / 4 ? 320 : 512, bytes: mostBytes / count };
  const isThinned = prompts.some(({ runs }) => runs.some(({ length }) => length > perStrip));
  const cards: Html[] = [];
  for (const [i, { prompt, seed, runs }] of prompts.entries()) {
    const shown = runs.map((samples) => thinned(samples, perStrip));
    const steps = [...new Set(shown.flatMap((samples) => samples.map(({ step }) => step)))].sort((a, b) => a - b);
    const figures: Html[] = [];
    for (const [run, record] of records.entries()) {
      const samples = shown[run] ?? [];
      if (samples.length > 0)
        figures.push(await runFigure(record, samples, size, records.length > 1 ? run % 8 : undefined));
    }
    const newest = steps.at(-1) ?? 0;
    cards.push(
      html`<div class="prompt card" role="group" aria-labelledby="prompt-${i}">
        <h3 id="prompt-${i}">${prompt === '' ? 'no prompt' : prompt}</h3>
        <div class="runs">${figures}</div>
        <p class="quiet small">
          seed ${seed}${isClassPrompt(records, shown) && html` <span class="tag">class: should stay as it was</span>`}
        </p>
        <label
          ><span class="hidden">Step</span
          ><input
            type="range"
            min="0"
            max="${steps.length - 1}"
            value="${steps.length - 1}"
            aria-valuetext="step ${newest}"
            data-steps="${JSON.stringify(steps)}"
          /><span class="value" aria-hidden="true">step ${newest}</span></label
        >
      </div>`,
    );
  }
  return html`<section aria-labelledby="samples">
    <h2 id="samples">Samples</h2>
    <div class="bar">
      <p class="quiet">
        The sliders go through the steps that pictures were made at.
        ${isThinned && `Of each prompt ${perStrip} steps are here, evenly chosen, with the first and the last; the run’s folder has all.`}
      </p>
      ${prompts.length > 1 && html`<label><input type="checkbox" id="together" checked />Move all prompts together</label>`}
    </div>
    <div class="prompts${records.length > 1 && ' several'}" style="--runs:${records.length}">${cards}</div>
  </section>`;
}
