import { join } from 'node:path';

import { loadDatasets } from '../../datasets/load-datasets.ts';
import { formatReport, type ReportEntry } from '../../datasets/report.ts';
import { captionsFile, captionStage, type CaptionStageResult, describeCaptions } from '../caption/caption-stage.ts';
import { loadConfig } from '../config/load-config.ts';
import { datasetOptions } from '../config/options.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { createPlainLog, formatDuration } from '../log/plain-log.ts';
import { createSpeed } from '../log/speed.ts';
import { openPipeline } from '../pipeline/open-pipeline.ts';
import { textSettings } from '../run/text-settings.ts';
import type { TextWindow } from '../text/lost-tokens.ts';
import { loadTokenizer } from '../text/tokenizer.ts';
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

/**
 * Makes a line of how far it is: `captions [#####---------------] 12/40, 3.2 pictures/s, 9 s left`.
 * @returns the line of so many pictures done after so many seconds
 */
export function createProgressText(): (done: number, total: number, seconds: number) => string {
  const speedOf = createSpeed();
  return (done, total, seconds) => {
    const speed = speedOf(done, seconds);
    const full = Math.round((20 * done) / Math.max(1, total));
    const shown = `captions [${'#'.repeat(full)}${'-'.repeat(20 - full)}] ${done}/${total}`;
    if (speed === undefined) return shown;
    return `${shown}, ${speed.toPrecision(2)} pictures/s, ${formatDuration((total - done) / speed)} left`;
  };
}

/**
 * The resolution that `auto` stands for, and how the model reads captions; without a network and a model, the resolution
 * of most of them.
 */
async function modelFacts(
  { model }: Config,
  signal: AbortSignal,
): Promise<{ readonly resolution: number; readonly window?: TextWindow }> {
  try {
    const { folder } = await resolveModel(model, { parts: 'configs', signal });
    const pipeline = await openPipeline(folder, model.variant === null ? {} : { variant: model.variant });
    const window = {
      tokenizer: await loadTokenizer(join(pipeline.folder, 'tokenizer')),
      ...textSettings(model),
    };
    return { resolution: pipeline.defaultSize, window };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UserError) return { resolution: 1024 };
    throw error;
  }
}

/** What lacks a caption is about to get one. */
function withoutCaptionNotes(entry: ReportEntry): ReportEntry {
  return { ...entry, notes: entry.notes.filter(({ kind }) => kind !== 'no-caption' && kind !== 'empty-caption') };
}

/**
 * Captions the pictures of a config and writes captions.html; without captioners, that alone. Sets the exit code: 1 when a picture lacks a caption, 130
 * when it was stopped.
 */
export async function runCaption(path: string, { set, ui: asked, edit }: RunCaptionOptions): Promise<void> {
  const { config, name, warnings } = await loadConfig(path, { set });
  const { dataset } = config;
  const ui = asked ?? config.log.ui;
  const plain = createPlainLog();
  const line = createProgressLine(process.stderr);
  let begun = Date.now();
  let before = 0;
  let progressText = createProgressText();
  const show = (event: TrainEvent): void => {
    const time = Date.now();
    if (ui === 'json') {
      process.stdout.write(`${JSON.stringify({ ...event, time })}\n`);
      return;
    }
    if (event.kind === 'stage' && event.done === 0) [begun, before, progressText] = [time, 0, createProgressText()];
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
    const { resolution, window } = await modelFacts(config, stop.signal);
    const datasets = await loadDatasets(datasetOptions(dataset, resolution), { signal: stop.signal });
    const hasCaptioners = config.caption.captioners.length > 0;
    const { report } = datasets;
    const told = hasCaptioners ? { ...report, entries: report.entries.map(withoutCaptionNotes) } : report;
    for (const message of formatReport(told)) show({ kind: 'log', message });
    if (!hasCaptioners && edit !== undefined) {
      throw new UserError(`${path} has no caption.captioners; captions of your own are edited where they are.`);
    }
    if (!hasCaptioners) {
      const message = `${path} has no caption.captioners; the page shows the captions that there are. To make some, add one, such as --set 'caption.captioners=[{type: transformers, model: onnx-community/Florence-2-base-ft}]'.`;
      show({ kind: 'warning', message });
    }
    const caption = async (): Promise<Pick<CaptionStageResult, 'pictures' | 'incomplete'>> => {
      const stage = hasCaptioners
        ? captionStage(config, name, datasets, { signal: stop.signal, window: () => Promise.resolve(window) })
        : describeCaptions(config, name, datasets, window);
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
