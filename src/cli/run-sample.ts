import { basename, resolve } from 'node:path';

import { defaultCacheDir } from '../config/paths.ts';
import { createOnnxruntimeEngine } from '../engine/onnxruntime.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { readAnyAdapter } from '../lora/formats/read-any-adapter.ts';
import type { SanaTransformer } from '../models/load-sana-transformer.ts';
import { sanaModules } from '../models/sana-transformer-config.ts';
import { bundledModel } from '../pipeline/model-folder.ts';
import { openPipeline } from '../pipeline/open-pipeline.ts';
import { writePicture } from '../pipeline/picture-file.ts';
import type { PictureRequest } from '../pipeline/picture-request.ts';
import { samplePipeline, type SampleProgress } from '../pipeline/sample-pipeline.ts';
import { settingsTexts } from '../pipeline/settings-text.ts';
import { quantized, withTextPrecision } from '../run/base-precision.ts';
import { textEncoderKey, transformerKey } from '../run/pipeline-key.ts';
import type { SampleOptions } from './commands/sample.ts';
import { pictureNames, prepareOutput } from './picture-names.ts';
import { createProgressLine } from './progress-line.ts';
import { showDownload } from './show-download.ts';
import { listenForStop } from './stop-signals.ts';
import { version } from './version.ts';

/** Makes the pictures that the options ask for, and prints a line for each. Sets the exit code 130 when it is stopped. */
export async function runSample(model: string, options: SampleOptions): Promise<void> {
  const { seed, count, negative, steps, guidance, guidanceInterval, size, solver, flowShift, chi, revision, variant } =
    options;
  const requests = options.prompt.flatMap((prompt): readonly PictureRequest[] =>
    Array.from({ length: count }, (_, i) => ({ prompt, seed: seed + i })),
  );
  const output = await prepareOutput(options.out, requests.length);
  const progress = createProgressLine(process.stderr);
  const { folder } = await resolveModel(
    { path: model, revision: revision ?? null, variant: variant ?? null },
    { onProgress: (event) => showDownload(progress, event) },
  );
  const exact = await openPipeline(folder, { ...(variant !== undefined && { variant }) });
  const adapters: { readonly adapter: Adapter; readonly scale: number }[] = [];
  for (const { path, scale } of options.adapter ?? []) {
    const adapter = await readAnyAdapter(path, sanaModules(exact.transformerConfig));
    for (const notice of adapter.notices) process.stderr.write(`${notice}\n`);
    adapters.push({ adapter, scale });
  }
  const names = pictureNames(
    output,
    requests.map(({ prompt }) => prompt),
  );

  const engine = createOnnxruntimeEngine();
  const stop = listenForStop(() => {
    progress.clear();
    process.stderr.write('stopping after this step; Ctrl-C again stops at once\n');
  });
  const { precision } = options;
  const cacheFolder = defaultCacheDir(process.env);
  const loadQuantized = async (fewBits: Exclude<typeof precision, 'fp32'>): Promise<SanaTransformer> => {
    const modelKey = await transformerKey(exact);
    const weights = { precision: fewBits, engine, cacheFolder, modelKey, signal: stop.signal };
    return quantized(await exact.loadTransformer(), weights);
  };
  const inFewBits = precision === 'fp32' ? exact : { ...exact, loadTransformer: () => loadQuantized(precision) };
  const pipeline = withTextPrecision(inFewBits, options.textPrecision, {
    engine,
    cacheFolder,
    textKey: () => textEncoderKey(exact),
    signal: stop.signal,
  });
  try {
    const pictures = samplePipeline({
      engine,
      pipeline,
      prompts: requests,
      adapters,
      negativePrompt: negative,
      steps,
      guidanceScale: guidance,
      chi: chi === 'none' ? null : chi,
      maxSequenceLength: options.maxSequenceLength,
      ...size,
      ...(guidanceInterval && { guidanceInterval }),
      ...(solver && { solver }),
      ...(flowShift !== undefined && { flowShift }),
      signal: stop.signal,
      onProgress: (state) => progress.show(describe(state, requests.length)),
    });
    for await (const { index, image, request, solver: solverName, truncated, seconds } of pictures) {
      const path = names[index] ?? '';
      const { latents: _, ...settings } = request;
      const texts = settingsTexts({
        ...settings,
        // Where things lie on this machine is nobody's business.
        model: model === bundledModel ? model : basename(resolve(model)),
        adapters: (options.adapter ?? []).map(({ path, scale }) => ({ name: basename(resolve(path)), scale })),
        solver: solverName,
        ...(flowShift !== undefined && { flowShift }),
        chi: chi === 'none' ? null : chi,
        maxSequenceLength: options.maxSequenceLength,
        version,
      });
      await writePicture(path, image, texts);
      progress.clear();
      if (truncated > 0) {
        process.stderr.write(
          `The last ${truncated} tokens of ${JSON.stringify(request.prompt)} do not fit and are not seen; shorten it.\n`,
        );
      }
      process.stdout.write(
        `${path}  ${request.width}x${request.height}  seed ${request.seed}  ${seconds.toFixed(1)} s\n`,
      );
    }
  } catch (error) {
    if (error !== stop.signal.reason) throw error;
    process.exitCode = 130;
  } finally {
    progress.clear();
    await engine.close();
    stop.release();
  }
}

function describe({ stage, index, done, total }: SampleProgress, pictures: number): string {
  if (stage === 'text') return `prompts: ${Math.floor((100 * done) / Math.max(1, total))}%`;
  const picture = pictures === 1 ? '' : `picture ${index + 1} of ${pictures}: `;
  return stage === 'denoise' ? `${picture}step ${done} of ${total}` : `${picture}decoding`;
}
