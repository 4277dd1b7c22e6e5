import { loadDatasets } from '../../datasets/load-datasets.ts';
import { formatReport } from '../../datasets/report.ts';
import { captionsFile, captionStage, type CaptionStageResult } from '../caption/caption-stage.ts';
import { loadConfig } from '../config/load-config.ts';
import { datasetOptions } from '../config/options.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { createPlainLog, formatDuration } from '../log/plain-log.ts';
import { openPipeline } from '../pipeline/open-pipeline.ts';
import { editCaption } from './edit-caption.ts';
import { createProgressLine } from './progress-line.ts';
import { listenForStop } from './stop-signals.ts';

/** The options of `sana-train caption CONFIG`. */
export interface RunCaptionOptions {
  readonly set: readonly string[];
  readonly ui?: string;
  /** A picture whose best caption is to be edited. */
  readonly edit?: string;
}

/** How far it is, as a line: `captions 12/40, 3.2 pictures/s, 9 s left`. */
export function progressText(done: number, total: number, seconds: number): string {
  const shown = `captions ${done}/${total}`;
  if (done === 0 || seconds <= 0) return shown;
  const speed = done / seconds;
  return `${shown}, ${speed.toPrecision(2)} pictures/s, ${formatDuration((total - done) / speed)} left`;
}

/** The resolution that `auto` stands for; without a network and a model, that of most of them. */
async function modelResolution({ model }: Config, signal: AbortSignal): Promise<number> {
  try {
    const { folder } = await resolveModel(model, { parts: 'configs', signal });
    return (await openPipeline(folder, model.variant === null ? {} : { variant: model.variant })).defaultSize;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UserError) return 1024;
    throw error;
  }
}

/**
 * Captions the pictures of a config and writes captions.html. Sets the exit code: 1 when a picture lacks a caption, 130
 * when it was stopped.
 */
export async function runCaption(path: string, { set, ui: asked, edit }: RunCaptionOptions): Promise<void> {
  const { config, name, warnings } = await loadConfig(path, { set });
  const { dataset } = config;
  if (config.caption.captioners.length === 0) {
    throw new UserError(
      `${path} has no caption.captioners; add one, such as --set 'caption.captioners=[{type: transformers, model: onnx-community/Florence-2-base-ft}]'.`,
    );
  }
  const ui = asked ?? config.log.ui;
  const plain = createPlainLog();
  const line = createProgressLine(process.stderr);
  let begun = Date.now();
  let before = 0;
  const show = (event: TrainEvent): void => {
    const time = Date.now();
    if (ui === 'json') {
      process.stdout.write(`${JSON.stringify({ ...event, time })}\n`);
      return;
    }
    if (event.kind === 'stage' && event.done === 0) [begun, before] = [time, 0];
    const text = plain({ ...event, time });
    if (text !== undefined) {
      line.clear();
      process.stdout.write(`${text}\n`);
    }
    if (event.kind === 'stage' && event.done < event.total) {
      before = Math.max(before, event.done);
      line.show(progressText(before, event.total, (time - begun) / 1000));
    }
  };

  const stop = listenForStop(() => process.stderr.write('stopping: what was captioned is kept\n'));
  try {
    for (const message of warnings) show({ kind: 'warning', message });
    const options = datasetOptions(dataset, await modelResolution(config, stop.signal));
    const datasets = await loadDatasets(options, { signal: stop.signal });
    for (const message of formatReport(datasets.report)) show({ kind: 'log', message });
    const caption = async (): Promise<CaptionStageResult> => {
      const stage = captionStage(config, name, datasets, stop.signal);
      for (;;) {
        const { value, done } = await stage.next();
        if (done === true) return value;
        show(value);
      }
    };
    let { pictures, incomplete } = await caption();
    line.clear();
    if (edit !== undefined && (await editCaption(edit, pictures, captionsFile(config)))) {
      // Rates what was written, and shows it on the page.
      ({ pictures, incomplete } = await caption());
    }
    const unused = datasets.report.entries.filter(({ status }) => status === 'left-out').length;
    if (incomplete > 0 || unused > 0) {
      process.exitCode = 1;
      const message = `${incomplete} of ${pictures.length} pictures lack a caption, ${unused} files could not be used`;
      show({ kind: 'warning', message });
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.exitCode = 130;
  } finally {
    line.clear();
    stop.release();
  }
}
