import { Box, Text } from 'ink';

import { formatDuration } from '../log/plain-log.ts';
import { Body } from './body.tsx';
import { shortNumber } from './curve.tsx';
import { Footer } from './footer.tsx';
import { Heading } from './heading.tsx';
import { useTone } from './look.ts';
import type { RunControls } from './run-controls.ts';
import type { RunView } from './run-view.ts';
import { StageBar, stageDetail } from './stage-bars.tsx';
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

/** A run in a terminal: curves, pictures, times, log; and keys that act on it. */
export function Dashboard({ view, columns, rows, now, controls, onReadWarnings, onRedraw }: DashboardProps) {
  const tone = useTone();
  const { selection, screen, line, notice } = useKeys({ view, controls, onReadWarnings, onRedraw });
  const { step, maxTrainSteps, seconds, warnings, log, end } = view;
  const stepSeconds = seconds && seconds.data + seconds.compute + seconds.update;
  const isWide = columns >= 110 && rows >= 30;

  const state = end
    ? `${end.reason} at step ${end.step}`
    : stepSeconds === undefined
      ? ''
      : `${formatDuration(stepSeconds * (maxTrainSteps - step))} left`;
  const shownWarnings = warnings.slice(-2);
  const stages = view.stages.filter(
    ({ done, total, stage }) => (isWide || (done < total && !end)) && stage !== 'train',
  );
  const stageRows = stages.slice(isWide ? -5 : -1);
  const logRows = isWide ? 7 : rows < 16 ? 0 : 2;
  // Title, training's bar, times, footer.
  const body = rows - 4 - stageRows.length - shownWarnings.length - logRows;
  const times = seconds && [
    `data ${formatDuration(seconds.data)}`,
    `forward and backward ${formatDuration(seconds.compute)}`,
    `update ${formatDuration(seconds.update)}`,
    `memory ${view.memoryMiB} MiB`,
  ];

  return (
    <Box flexDirection="column" width={columns} height={rows} overflowY="hidden">
      <Box justifyContent="space-between">
        <Text wrap="truncate">
          <Text {...tone('title')}>{view.name || 'sana-train'}</Text>
          {view.subject !== '' && `: ${view.subject}`}
          {view.model !== '' && <Text {...tone('quiet')}> on {view.model}</Text>}
        </Text>
        <Text wrap="truncate" {...tone(end?.reason === 'failed' ? 'warning' : 'good')}>
          {state}
        </Text>
      </Box>
      <StageBar
        name="train"
        done={step}
        total={maxTrainSteps}
        width={columns}
        detail={
          stepSeconds === undefined
            ? ''
            : `${formatDuration(stepSeconds)} a step, norm ${shortNumber(view.gradNorm ?? 0)}`
        }
      />
      {stageRows.map((stage) => (
        <StageBar
          key={stage.stage}
          name={stage.stage}
          done={stage.done}
          total={stage.total}
          width={columns}
          detail={stageDetail(stage, now)}
        />
      ))}
      <Text wrap="truncate" {...tone('quiet')}>
        {times?.join(', ') ?? 'before the first step'}
      </Text>
      {screen === 'help' ? (
        <Lines
          name="keys"
          width={columns}
          height={body}
          lines={help.map(([key, text]) => `${key.padEnd(12)} ${text}`)}
        />
      ) : screen === 'log' ? (
        <Lines name="log" width={columns} height={body + logRows} lines={log} />
      ) : (
        <Body view={view} selection={selection} width={columns} height={body} isWide={isWide} />
      )}
      {shownWarnings.map((text, i) => (
        <Text key={i} wrap="truncate" {...tone('warning')}>
          {i === shownWarnings.length - 1 && warnings.length > 0
            ? `! ${text.slice(0, Math.max(20, columns - 16))} (${warnings.length}, w: read)`
            : `! ${text}`}
        </Text>
      ))}
      {screen !== 'log' && logRows > 0 && (
        <Box flexDirection="column" height={logRows} overflowY="hidden" flexShrink={0}>
          {isWide && <Heading name="log" width={columns} />}
          {log.slice(-(isWide ? logRows - 1 : logRows)).map((line, i) => (
            <Text key={i} wrap="truncate" {...tone('quiet')}>
              {line}
            </Text>
          ))}
        </Box>
      )}
      <Footer line={line} notice={notice} isOver={end !== undefined} isOwn={controls.isOwn} width={columns} />
    </Box>
  );
}

/** A screen of lines, the last ones where there are too many. */
function Lines({
  name,
  lines,
  width,
  height,
}: {
  readonly name: string;
  readonly lines: readonly string[];
  readonly width: number;
  readonly height: number;
}) {
  return (
    <Box flexDirection="column" height={height} overflowY="hidden">
      <Heading name={name} width={width} />
      {lines.slice(-Math.max(1, height - 1)).map((line, i) => (
        <Text key={i} wrap="truncate">
          {line}
        </Text>
      ))}
    </Box>
  );
}
