import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';
import { z } from 'zod';

import type { GraphCost } from '../src/graph/cost.ts';
import { adaptedModules } from '../src/lora/adapter-config.ts';
import { parseSanaTransformerConfig, sanaModules } from '../src/models/sana-transformer-config.ts';
import { quantizedBytes, stepMemory, stepSeconds } from '../src/run/estimate.ts';
import { stepCost } from '../src/run/step-cost.ts';
import { sanaSizes } from './random-model.ts';

const sides = [512, 1024, 2048, 4096] as const;
const lines = [
  { model: '0.6b', precision: 'fp32', color: '#1f77b4' },
  { model: '0.6b', precision: 'int8', color: '#2ca02c' },
  { model: '1.6b', precision: 'fp32', color: '#d62728' },
  { model: '1.6b', precision: 'int8', color: '#9467bd' },
] as const;

const measured = z.object({ gigaflops: z.number() });
const root = join(import.meta.dirname, '..');

interface Curve {
  readonly name: string;
  readonly color: string;
  readonly points: readonly (readonly [tokens: number, value: number])[];
}

/** Adds `bench plot`: draws docs/images/step-time.svg and step-memory.svg by the estimates of sana-train check. */
export function addPlotCommand(program: Command): void {
  program
    .command('plot')
    .description('time and memory of a LoRA step against image tokens, as sana-train check estimates them')
    .action(async () => {
      const text = await readFile(join(root, 'bench', 'measured.json'), 'utf8');
      const { gigaflops } = measured.parse(JSON.parse(text));
      const [time, memory]: [Curve[], Curve[]] = [[], []];
      for (const { model, precision, color } of lines) {
        const name = `${model.toUpperCase()}, ${precision}`;
        const costs = await Promise.all(sides.map(async (side) => await costOf(model, precision, side)));
        const curve = (value: (step: GraphCost, others: number) => number): Curve => ({
          name,
          color,
          points: costs.map(({ step, others }, i) => [((sides[i] ?? 0) / 32) ** 2, value(step, others)]),
        });
        time.push(curve((step) => stepSeconds(step, precision, gigaflops)));
        memory.push(curve((step, others) => (stepMemory(step, 0, 2) + others) / 2 ** 30));
      }
      const folder = join(root, 'docs', 'images');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'step-time.svg'), drawChart('Seconds a step', time));
      await writeFile(join(folder, 'step-memory.svg'), drawChart('GiB beside mapped files', memory));
      for (const [title, curves] of [['seconds', time] as const, ['GiB', memory] as const]) {
        for (const { name, points } of curves) {
          console.log(
            `${title}, ${name}: ${points.map(([tokens, value]) => `${tokens} ${value.toFixed(2)}`).join(', ')}`,
          );
        }
      }
    });
}

/** A LoRA step of rank 16 on q, k and v with checkpointing and 40 text tokens, weights in float32 files. */
async function costOf(
  model: keyof typeof sanaSizes,
  precision: 'fp32' | 'int8',
  side: number,
): Promise<{ readonly step: GraphCost; readonly others: number }> {
  const { layers, width, heads, crossHeads } = sanaSizes[model];
  const json = {
    num_layers: layers,
    num_attention_heads: heads,
    num_cross_attention_heads: crossHeads,
    cross_attention_head_dim: width / crossHeads,
    cross_attention_dim: width,
  };
  const config = parseSanaTransformerConfig(json, 'config.json');
  const modules = adaptedModules(sanaModules(config), {
    type: 'lora',
    rank: 16,
    alpha: 16,
    rankPattern: {},
    alphaPattern: {},
    targetModules: ['to_q', 'to_k', 'to_v'],
    rslora: false,
    dropout: 0,
  });
  const step = await stepCost(config, modules, {
    dtype: 'float32',
    precision,
    gradientCheckpointing: true,
    batch: 1,
    height: side / 32,
    width: side / 32,
    textTokens: 40,
  });
  // The adapter with AdamW, and the weights in 8 bits.
  const others = stepMemory(step, layers * 6 * 16 * 2 * width, 2) - stepMemory(step, 0, 2);
  return { step, others: others + (precision === 'int8' ? quantizedBytes(config) : 0) };
}

const [width, height, left, right, top, bottom] = [640, 360, 56, 110, 36, 40] as const;

/** A chart with logarithmic axes: tokens from 256 to 16384, values by powers of two. */
function drawChart(title: string, curves: readonly Curve[]): string {
  const values = curves.flatMap(({ points }) => points.map(([, value]) => Math.log2(value)));
  const [low, high] = [Math.floor(Math.min(...values)), Math.ceil(Math.max(...values))];
  const x = (tokens: number): number => left + ((Math.log2(tokens) - 8) / 6) * (width - left - right);
  const y = (value: number): number =>
    height - bottom - ((Math.log2(value) - low) / (high - low)) * (height - top - bottom);
  const at = (value: number): string => value.toFixed(1);
  const parts: string[] = [`<text x="${left}" y="20" font-size="14">${title} against image tokens</text>`];
  for (let power = low; power <= high; power++) {
    const label = String(Number((2 ** power).toPrecision(3)));
    parts.push(
      `<path d="M${left} ${at(y(2 ** power))}H${width - right}" stroke="#ddd"/>`,
      `<text x="${left - 6}" y="${at(y(2 ** power) + 4)}" text-anchor="end">${label}</text>`,
    );
  }
  for (const side of sides) {
    const tokens = (side / 32) ** 2;
    const label = `${tokens} (${side} px)`;
    parts.push(`<text x="${at(x(tokens))}" y="${height - bottom + 18}" text-anchor="middle">${label}</text>`);
  }
  for (const { name, color, points } of curves) {
    const path = points.map(([tokens, value], i) => `${i === 0 ? 'M' : 'L'}${at(x(tokens))} ${at(y(value))}`).join('');
    parts.push(`<path d="${path}" fill="none" stroke="${color}" stroke-width="2"/>`);
    for (const [tokens, value] of points) {
      parts.push(`<circle cx="${at(x(tokens))}" cy="${at(y(value))}" r="3" fill="${color}"/>`);
    }
    const [tokens = 1, value = 1] = points.at(-1) ?? [];
    parts.push(`<text x="${at(x(tokens) + 8)}" y="${at(y(value) + 4)}" fill="${color}">${name}</text>`);
  }
  const style = 'font-family="sans-serif" font-size="11"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ${style}><rect width="100%" height="100%" fill="#fff"/>${parts.join('\n')}</svg>\n`;
}
