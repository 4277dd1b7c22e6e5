import { basename } from 'node:path';

import { UserError } from '../errors.ts';
import { exportAdapter } from '../export/export-adapter.ts';
import { combineAdapters, type WeightedAdapter } from '../lora/combine-adapters.ts';
import { readAnyAdapter } from '../lora/formats/read-any-adapter.ts';
import type { MergeOptions } from './commands/merge.ts';
import { describeExport } from './run-export.ts';
import type { AdapterArgument } from './sample-arguments.ts';

const storage = { fp32: 'float32', bf16: 'bfloat16', fp16: 'float16' } as const;

/** Merges adapters into one and prints where it went. */
export async function runMerge(
  given: readonly AdapterArgument[],
  { output, format, dtype, rank, title = basename(output).replace(/\.safetensors$/, '') }: MergeOptions,
): Promise<void> {
  if (given.length < 2) throw new UserError('One adapter is named; merge takes two or more (FILE:SCALE FILE:SCALE).');
  const adapters: WeightedAdapter[] = [];
  let width: number | undefined;
  for (const { path, scale } of given) {
    const adapter = await readAnyAdapter(path);
    for (const notice of adapter.notices) process.stderr.write(`${notice}\n`);
    width ??= adapter.base.width;
    if (adapter.base.width !== width) {
      throw new UserError(
        `${path} is for a model of width ${adapter.base.width} and ${given[0]?.path ?? ''} for one of ${width}; merge adapters of one model.`,
      );
    }
    adapters.push({ adapter, scale });
  }
  const result = await exportAdapter(combineAdapters(adapters), {
    format,
    output,
    dtype: storage[dtype],
    about: { title },
    ...(rank !== undefined && { rank }),
  });
  process.stdout.write(`${describeExport(result)}\n`);
}
