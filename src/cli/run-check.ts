import { formatReport } from '../../datasets/report.ts';
import { loadConfig } from '../config/load-config.ts';
import { formatBytes } from '../io/format-bytes.ts';
import { quoted } from '../io/json.ts';
import { checkRun, type RunCheck } from '../run/check-run.ts';
import { describeEstimate } from '../run/preflight.ts';
import { createProgressLine } from './progress-line.ts';
import { showDownload } from './show-download.ts';

/** The options of `sana-train check`. */
export interface RunCheckOptions {
  readonly set: readonly string[];
  readonly resume?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Checks a config and prints what was found. Sets the exit code: 1 when the run could not start. */
export async function runCheck(
  path: string,
  { set, resume, all = false, json = false }: RunCheckOptions,
): Promise<void> {
  const { config, warnings } = await loadConfig(path, { set });
  const progress = createProgressLine(process.stderr);
  const found = await checkRun(config, {
    ...(resume !== undefined && { resume }),
    onEvent: (event) => showDownload(progress, event),
    onScan: ({ dataset, done, total }) => progress.show(`${dataset}: ${done} of ${total} pictures`),
  });
  progress.clear();
  const check: RunCheck = { ...found, warnings: [...warnings, ...found.warnings] };
  process.stdout.write(json ? `${JSON.stringify(check, null, 2)}\n` : formatCheck(check, config.model.path, all));
  if (check.problems.length > 0) process.exitCode = 1;
}

/**
 * A check as text for a terminal.
 * @param model as the config names it, @param all whether remarks that need no one's attention are listed too
 */
export function formatCheck(check: RunCheck, model: string, all: boolean): string {
  const { problems, warnings, dataset, captions, plan, adapter, estimate } = check;
  const sections: (readonly string[])[] = [];
  const section = (title: string, lines: readonly string[]): void => {
    sections.push([title, ...lines.map((line) => `  ${line}`)]);
  };
  if (check.model) {
    const { layers, width, parameters, size, missingBytes } = check.model;
    section('model', [
      `${model}: ${layers} layers, ${width} wide, ${formatCount(parameters)} parameters, pictures of ${size} pixels`,
      missingBytes > 0
        ? `${formatBytes(missingBytes)} of weights are to be downloaded; they are checked then`
        : 'all files are there, every tensor in its shape',
    ]);
  }
  if (dataset) section('pictures', formatReport(dataset, { all }));
  if (captions) {
    section('captions', [
      `${count(captions.texts, 'text')}, ${Math.round(captions.mean)} tokens on average, ${captions.longest} at most; ${captions.limit} are seen`,
      ...captions.truncated.slice(0, all ? undefined : 10).map(({ text, lost }) => {
        return `too long by ${count(lost, 'token')}: ${quoted(text)}`;
      }),
      ...(captions.truncated.length > 10 && !all
        ? [`and ${captions.truncated.length - 10} more too long; --all lists them`]
        : []),
    ]);
  }
  if (plan) {
    const epochs = plan.maxTrainSteps / Math.max(1, plan.perEpoch);
    section('training', [
      `${count(plan.maxTrainSteps, 'step')}${plan.step > 0 ? `, ${plan.step} of them done` : ''}; an epoch has ${count(plan.perEpoch, 'batch', 'batches')}, so about ${Number(epochs.toPrecision(2))} epochs`,
      ...(adapter
        ? [`${formatCount(adapter.parameters)} trained parameters in ${count(adapter.layers, 'layer')}`]
        : []),
    ]);
  }
  if (estimate && plan) {
    section('estimate (good to a factor of two)', [
      ...describeEstimate(estimate, plan.maxTrainSteps - plan.step),
      `at ${Math.round(estimate.gigaflops)} GFLOP/s, which this machine gives now`,
    ]);
  }
  if (warnings.length > 0) section('warnings', warnings);
  if (problems.length > 0) section('problems', problems);
  sections.push([problems.length > 0 ? 'The run cannot start.' : 'The run can start.']);
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}

/** 590 million as 590M. */
function formatCount(n: number): string {
  const [unit, size] = n >= 1e9 ? (['B', 1e9] as const) : n >= 1e6 ? (['M', 1e6] as const) : (['k', 1e3] as const);
  return `${Number((n / size).toPrecision(3))}${unit}`;
}
