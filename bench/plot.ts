import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';

import { estimateStep, type MeasuredStep, readMeasured } from './measured.ts';
import { sanaSizes } from './random-model.ts';

const sides = [512, 1024, 2048, 4096] as const;
const lines = [
  { name: '0.6B, fp32', model: '0.6b', precision: 'fp32', dtype: 'float32', color: '#1f77b4' },
  { name: '0.6B, int8', model: '0.6b', precision: 'int8', dtype: 'bfloat16', color: '#2ca02c' },
  { name: '1.6B, bf16 files', model: '1.6b', precision: 'fp32', dtype: 'bfloat16', color: '#d62728' },
  { name: '1.6B, int8', model: '1.6b', precision: 'int8', dtype: 'bfloat16', color: '#9467bd' },
] as const;

type Points = readonly (readonly [tokens: number, value: number])[];

interface Curve {
  readonly name: string;
  readonly color: string;
  readonly estimated: Points;
  readonly measured: Points;
}

/** Adds `bench plot`: draws docs/images/step-time.svg and step-memory.svg of bench/measured.json. */
export function addPlotCommand(program: Command): void {
  program
    .command('plot')
    .description(
      'time and memory of a checkpointed LoRA step against image tokens: measured, and as check estimates them',
    )
    .action(async () => {
      const { gigaflops, rows } = readMeasured();
      const [time, memory]: [Curve[], Curve[]] = [[], []];
      for (const { name, color, ...line } of lines) {
        const steps = sides.map((size): MeasuredStep => stepOf(line, size));
        const estimates = await Promise.all(steps.map((step) => estimateStep(step, gigaflops)));
        const found = rows.filter((row) => steps.some((step) => isLike(row, step)));
        time.push({
          name,
          color,
          estimated: estimates.map(({ seconds }, i) => [tokensOf(sides[i] ?? 0), seconds]),
          measured: found.flatMap(({ size, seconds }) => (seconds === undefined ? [] : [[tokensOf(size), seconds]])),
        });
        memory.push({
          name,
          color,
          estimated: estimates.map(({ anonymousMiB }, i) => [tokensOf(sides[i] ?? 0), anonymousMiB / 1024]),
          measured: found.flatMap(({ size, anonymousMiB }) =>
            anonymousMiB === undefined ? [] : [[tokensOf(size), anonymousMiB / 1024]],
          ),
        });
      }
      const folder = join(import.meta.dirname, '..', 'docs', 'images');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'step-time.svg'), drawChart('Seconds a step', time));
      await writeFile(join(folder, 'step-memory.svg'), drawChart('GiB beside mapped files', memory));
      for (const [title, curves] of [['seconds', time] as const, ['GiB', memory] as const]) {
        for (const { name, estimated, measured } of curves) {
          console.log(`${title}, ${name}: estimated ${listed(estimated)}; measured ${listed(measured)}`);
        }
      }
    });
}

function listed(points: Points): string {
  return points.map(([tokens, value]) => `${tokens} ${value.toFixed(2)}`).join(', ');
}

function tokensOf(size: number): number {
  return (size / 32) ** 2;
}

/** One picture, the whole model, LoRA of rank 16 on q, k and v, with checkpointing. */
function stepOf(line: Pick<MeasuredStep, 'model' | 'precision' | 'dtype'>, size: number): MeasuredStep {
  return { ...line, layers: sanaSizes[line.model].layers, size, batch: 1, rank: 16, checkpointing: true };
}

/** Whether a row is of that step, whatever was measured of it. */
function isLike(row: MeasuredStep, step: MeasuredStep): boolean {
  const found: Readonly<Record<string, unknown>> = row;
  return Object.entries(step).every(([name, value]) => found[name] === value);
}

const [width, height, left, right, top, bottom] = [640, 360, 56, 110, 36, 40] as const;

/** A chart with logarithmic axes: tokens from 256 to 16384, values by powers of two. */
function drawChart(title: string, curves: readonly Curve[]): string {
  const values = curves.flatMap(({ estimated, measured }) =>
    [...estimated, ...measured].map(([, value]) => Math.log2(value)),
  );
  const [low, high] = [Math.floor(Math.min(...values)), Math.ceil(Math.max(...values))];
  const x = (tokens: number): number => left + ((Math.log2(tokens) - 8) / 6) * (width - left - right);
  const y = (value: number): number =>
    height - bottom - ((Math.log2(value) - low) / (high - low)) * (height - top - bottom);
  const at = (value: number): string => value.toFixed(1);
  const parts: string[] = [
    `<text x="${left}" y="20" font-size="14">${title} against image tokens: measured (dots) and estimated (lines)</text>`,
  ];
  for (let power = low; power <= high; power++) {
    const label = String(Number((2 ** power).toPrecision(3)));
    parts.push(
      `<path d="M${left} ${at(y(2 ** power))}H${width - right}" stroke="#ddd"/>`,
      `<text x="${left - 6}" y="${at(y(2 ** power) + 4)}" text-anchor="end">${label}</text>`,
    );
  }
  for (const side of sides) {
    const tokens = tokensOf(side);
    const label = `${tokens} (${side} px)`;
    parts.push(`<text x="${at(x(tokens))}" y="${height - bottom + 18}" text-anchor="middle">${label}</text>`);
  }
  for (const { color, estimated, measured } of curves) {
    const path = estimated
      .map(([tokens, value], i) => `${i === 0 ? 'M' : 'L'}${at(x(tokens))} ${at(y(value))}`)
      .join('');
    parts.push(`<path d="${path}" fill="none" stroke="${color}" stroke-width="1.5"/>`);
    for (const [tokens, value] of measured) {
      parts.push(`<circle cx="${at(x(tokens))}" cy="${at(y(value))}" r="4" fill="${color}"/>`);
    }
  }
  // Names at the ends of the lines, from the top down, none over another.
  const end = ({ estimated }: Curve): number => y(estimated.at(-1)?.[1] ?? 1);
  let below = 0;
  for (const curve of curves.toSorted((a, b) => end(a) - end(b))) {
    below = Math.max(end(curve) + 4, below + 13);
    parts.push(`<text x="${width - right + 8}" y="${at(below)}" fill="${curve.color}">${curve.name}</text>`);
  }
  const style = 'font-family="sans-serif" font-size="11"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ${style}><rect width="100%" height="100%" fill="#fff"/>${parts.join('\n')}</svg>\n`;
}
