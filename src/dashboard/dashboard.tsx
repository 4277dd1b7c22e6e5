import { Box } from 'ink';

import { formatDuration } from '../log/plain-log.ts';
import { Block } from './block.tsx';
import { Body } from './body.tsx';
import { shortNumber } from './curve.tsx';
import { footer } from './footer.ts';
import { heading } from './heading.ts';
import { useLook } from './look.ts';
import type { RunControls } from './run-controls.ts';
import type { RunView } from './run-view.ts';
import { stageBar, stageDetail } from './stage-bars.ts';
import { type Piece, withEnd } from './styled-line.ts';
import { useKeys } from './use-keys.ts';

/** What the dashboard is given anew whenever something happened. */
export interface DashboardProps {
  readonly view: RunView;
  readonly columns: number;
  /** All that the terminal has. */
  readonly rows: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly controls: RunControls;
  readonly onReadWarnings: () => void;
  readonly onRedraw: () => void;
}

const help = [
  ['s', 'sample: makes the pictures after this step'],
  ['t', 'types a prompt, whose picture is made after this step; up: one typed before'],
  ['c', 'checkpoint: saves after this step'],
  ['p', 'pauses, and goes on'],
  ['up, down', 'another prompt'],
  ['left, right', 'an earlier or later step of its pictures'],
  ['w', 'warnings: read, and put away'],
  ['l', 'log'],
  ['?', 'this help'],
  ['x', 'stops the run after saving; asks first'],
  ['q, Ctrl-C', 'the same; on a run of another process they leave it alone'],
  ['Ctrl-L', 'draws the screen anew'],
] as const;

/** What turns while something is at work. */
const spinner = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';

/** The columns of {@link clockLine}. */
export const clockWidth = 14;

/**
 * The time since the run last told of something, a step of its training mostly: that it lives can be seen in a step of a
 * minute too. It is drawn more often than the rest.
 */
export function clockLine({ end, time }: RunView, now: number): readonly Piece[] {
  if (end || time === undefined) return [];
  const turned = spinner[Math.floor(now / 100) % spinner.length] ?? '';
  const text = `${formatDuration(Math.max(0, now - time) / 1000)} ${turned}`;
  return [['quiet', text.padStart(clockWidth)]];
}

/** A run in a terminal: curves, pictures, times, log; and keys that act on it. */
export function Dashboard({ view, columns, rows, now, controls, onReadWarnings, onRedraw }: DashboardProps) {
  const { colors } = useLook();
  const { selection, screen, line, notice } = useKeys({ view, controls, onReadWarnings, onRedraw });
  const { step, maxTrainSteps, seconds, warnings, log, end } = view;
  const stepSeconds = seconds && seconds.data + seconds.compute + seconds.update;
  const isWide = columns >= 110 && rows >= 30;

  const state = end
    ? `${end.reason} at step ${end.step}`
    : stepSeconds === undefined
      ? ''
      : `${formatDuration(stepSeconds * (maxTrainSteps - step))} left`;
  const title = withEnd(
    [
      ['title', view.name || 'sana-train'],
      view.subject === '' ? '' : `: ${view.subject}`,
      ['quiet', view.model === '' ? '' : ` on ${view.model}`],
    ],
    [[end?.reason === 'failed' ? 'warning' : 'good', state]],
    columns,
    colors,
  );
  const perStep =
    stepSeconds === undefined ? '' : `${formatDuration(stepSeconds)} a step, norm ${shortNumber(view.gradNorm ?? 0)}`;
  const clockColumns = end || columns < 60 ? 0 : clockWidth;
  const shownWarnings = warnings.slice(-2);
  const stages = view.stages
    .filter(({ done, total, stage }) => (isWide || (done < total && !end)) && stage !== 'train')
    .slice(isWide ? -5 : -1);
  const logRows = isWide ? 7 : rows < 16 ? 0 : 2;
  // Title, training's bar, times, footer.
  const body = rows - 4 - stages.length - shownWarnings.length - logRows;
  const times = seconds && [
    `data ${formatDuration(seconds.data)}`,
    `forward and backward ${formatDuration(seconds.compute)}`,
    `update ${formatDuration(seconds.update)}`,
    `memory ${view.memoryMiB} MiB`,
  ];
  const lastLines = (count: number): readonly (readonly Piece[])[] =>
    log.slice(-Math.max(1, count)).map((text) => [['quiet', text]]);
  const readHint = ` (${warnings.length}, w: read)`;

  return (
    <Box flexDirection="column" width={columns} height={rows} overflowY="hidden">
      <Block id="title" lines={[title]} width={columns} />
      <Box>
        <Block
          id="train"
          lines={[stageBar('train', step, maxTrainSteps, perStep, columns)]}
          width={columns - clockColumns}
        />
        {clockColumns > 0 && <Block id="clock" lines={[clockLine(view, now)]} width={clockWidth} />}
      </Box>
      <Block
        id="stages"
        lines={[
          ...stages.map((stage) => stageBar(stage.stage, stage.done, stage.total, stageDetail(stage, now), columns)),
          [['quiet', times?.join(', ') ?? 'before the first step']],
        ]}
        width={columns}
      />
      {screen === 'main' ? (
        <Body view={view} selection={selection} width={columns} height={body} isWide={isWide} />
      ) : (
        <Block
          id={screen}
          lines={
            screen === 'help'
              ? [heading('keys', '', columns), ...help.map(([key, text]) => [['key', key.padEnd(13)], text] as const)]
              : [heading('log', '', columns), ...lastLines(body + logRows - 1)]
          }
          width={columns}
          height={screen === 'help' ? body : body + logRows}
        />
      )}
      <Block
        id="warnings"
        lines={shownWarnings.map((text, i) =>
          i < shownWarnings.length - 1
            ? [['warning', `! ${text}`]]
            : withEnd([['warning', `! ${text}`]], [['warning', readHint.trim()]], columns, colors),
        )}
        width={columns}
      />
      {screen !== 'log' && (
        <Block
          id="last"
          lines={isWide ? [heading('log', '', columns), ...lastLines(logRows - 1)] : lastLines(logRows)}
          width={columns}
          height={logRows}
        />
      )}
      <Block
        id="footer"
        lines={[footer({ line, notice, isOver: end !== undefined, isOwn: controls.isOwn, width: columns, colors })]}
        width={columns}
      />
    </Box>
  );
}
