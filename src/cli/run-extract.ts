import { basename, resolve } from 'node:path';

import { createOnnxruntimeEngine } from '../engine/onnxruntime.ts';
import { exportAdapter } from '../export/export-adapter.ts';
import { type ExtractedAdapter, extractAdapter } from '../export/extract-adapter.ts';
import { openTransformerWeights, type TransformerWeights } from '../export/transformer-weights.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import type { ExtractCommandOptions } from './commands/extract.ts';
import { createProgressLine } from './progress-line.ts';
import { describeExport } from './run-export.ts';
import { showDownload } from './show-download.ts';

const storage = { fp32: 'float32', bf16: 'bfloat16', fp16: 'float16' } as const;

/** Extracts an adapter from two models, and prints what it loses and where it went. */
export async function runExtract(
  base: string,
  tuned: string,
  { rank, format, dtype, variant, output, title }: ExtractCommandOptions,
): Promise<void> {
  const name = basename(resolve(tuned)).replace(/\.safetensors$/, '');
  const progress = createProgressLine(process.stderr);
  const open = async (path: string): Promise<TransformerWeights> => {
    const { folder } = await resolveModel(
      { path, revision: null, variant: variant ?? null },
      { onProgress: (event) => showDownload(progress, event) },
    );
    return await openTransformerWeights(folder, { ...(variant !== undefined && { variant }) });
  };
  const engine = createOnnxruntimeEngine();
  try {
    const extracted = await extractAdapter(await open(base), await open(tuned), {
      engine,
      rank,
      onProgress: (done, total) => progress.show(done < total ? `extract: layer ${done + 1} of ${total}` : ''),
    });
    progress.clear();
    process.stdout.write(formatLosses(extracted));
    const result = await exportAdapter(extracted.adapter, {
      format,
      output: output ?? `${name}-lora.safetensors`,
      dtype: storage[dtype],
      about: { title: title ?? name },
    });
    process.stdout.write(`${describeExport(result)}\n`);
  } finally {
    progress.clear();
    await engine.close();
  }
}

/** What the adapter leaves out of each block, and of everything. */
function formatLosses({ adapter, error, errors, leftOut }: ExtractedAdapter): string {
  const percent = (share: number): string => `${(100 * share).toPrecision(3)}%`;
  const width = Math.max(...[...errors.keys()].map((block) => block.length));
  const lines = [
    `${adapter.modules.size} layers differ; of the difference the adapter loses (Frobenius norm)`,
    ...[...errors].map(([block, share]) => `  ${block.padEnd(width)}  ${percent(share)}`),
    `  ${'all'.padEnd(width)}  ${percent(error)}`,
  ];
  if (leftOut.length > 0) {
    lines.push(
      `${leftOut.length} tensors differ too that no adapter holds, such as ${leftOut[0] ?? ''}; they are left out.`,
    );
  }
  return `${lines.join('\n')}\n`;
}
