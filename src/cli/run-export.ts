import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { createOnnxruntimeEngine } from '../engine/onnxruntime.ts';
import { UserError } from '../errors.ts';
import { repositoryName } from '../config/export-section.ts';
import { exportAdapter, type ExportBase, type ExportResult } from '../export/export-adapter.ts';
import { exportFileName } from '../export/file-names.ts';
import { findExportSource } from '../export/find-source.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { quoted } from '../io/json.ts';
import { readAnyAdapter } from '../lora/formats/read-any-adapter.ts';
import { sanaModules } from '../models/sana-transformer-config.ts';
import { openPipeline } from '../pipeline/open-pipeline.ts';
import { pushRun } from '../run/push-run.ts';
import type { ExportCommandOptions } from './commands/export.ts';
import { createProgressLine } from './progress-line.ts';
import { showDownload } from './show-download.ts';

const storage = { fp32: 'float32', bf16: 'bfloat16', fp16: 'float16' } as const;

/** Exports what the command line names, and prints where it went and how it was checked. */
export async function runExport(source: string, options: ExportCommandOptions): Promise<void> {
  const { format, push } = options;
  if (push !== undefined) return await pushSource(source, push, options.private);
  if (format === undefined) {
    throw new UserError('Name what to write with --format, such as --format comfyui, or --push owner/name.');
  }
  const { path, name, config } = await findExportSource(source);
  const { layout, dtype, scale, rank, foldAlpha, title = name, author, license, trigger } = options;
  const output =
    options.output ??
    join(config ? join(source, 'adapter') : dirname(resolve(path)), exportFileName(format, name, layout));
  const modelName = options.model ?? (config && config.model.path);
  const engine = modelName === undefined ? undefined : createOnnxruntimeEngine();
  try {
    const base =
      engine && modelName !== undefined ? await openBase(modelName, engine, options, config?.model) : undefined;
    const adapter = await readAnyAdapter(path, base && sanaModules(base.model.config));
    for (const notice of adapter.notices) process.stderr.write(`${notice}\n`);
    if (await isSame(adapter.path, output)) {
      throw new UserError(`${output} is what is read; name another file with --output.`);
    }
    const triggers =
      trigger.length > 0
        ? trigger
        : (config?.dataset.sources ?? []).flatMap(
            ({ trigger_word, instance_prompt }) => trigger_word ?? instance_prompt ?? [],
          );
    const result = await exportAdapter(adapter, {
      format,
      output,
      layout,
      scale,
      foldAlpha,
      ...(dtype && { dtype: storage[dtype] }),
      ...(rank !== undefined && { rank }),
      ...(base && { base }),
      about: {
        title,
        triggers,
        ...(author !== undefined && { author }),
        ...(license !== undefined && { license }),
      },
    });
    process.stdout.write(`${describeExport(result)}\n`);
  } finally {
    await engine?.close();
  }
}

/** Sends what a run wrote to the hub, and prints where. */
async function pushSource(source: string, id: string, isPrivate: boolean): Promise<void> {
  if (!repositoryName.test(id)) throw new UserError(`--push is ${quoted(id)}; use a name such as owner/name.`);
  const { config } = await findExportSource(source);
  if (!config) throw new UserError(`${source} is no run's folder; --push sends the files of a run.`);
  process.stdout.write(`${await pushRun(config, source, id, { isPrivate })}\n`);
}

async function openBase(
  path: string,
  engine: ExportBase['engine'],
  { variant }: ExportCommandOptions,
  model?: { readonly revision: string | null; readonly variant: string | null },
): Promise<ExportBase> {
  const progress = createProgressLine(process.stderr);
  const chosen = variant ?? model?.variant ?? undefined;
  const { folder } = await resolveModel(
    { path, revision: model?.revision ?? null, variant: chosen ?? null },
    { onProgress: (event) => showDownload(progress, event) },
  );
  const pipeline = await openPipeline(folder, { ...(chosen !== undefined && { variant: chosen }) });
  return { folder, model: await pipeline.loadTransformer(), engine };
}

async function isSame(a: string, b: string): Promise<boolean> {
  const [first, second] = [await stat(a), await stat(b).catch(() => undefined)];
  return second !== undefined && first.ino === second.ino && first.dev === second.dev;
}

/** What was written, in a line. */
export function describeExport({ path, error, forwardError, resizeError, loraRank }: ExportResult): string {
  const parts = [
    ...(resizeError === undefined ? [] : [`resized with ${(100 * resizeError).toPrecision(2)}% of its effect lost`]),
    ...(loraRank === undefined ? [] : [`as the LoRA of rank ${loraRank} that adds the same (--rank lowers it)`]),
    forwardError === undefined
      ? `read back: every layer within ${error.toExponential(1)}; name the --model for a forward pass`
      : `read back: a forward pass within ${forwardError.toExponential(1)}`,
  ];
  return `${path}: ${parts.join('; ')}`;
}
