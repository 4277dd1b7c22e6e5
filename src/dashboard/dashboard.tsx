import { Box, Text } from 'ink';

import { formatDuration } from '../log/plain-log.ts';
import { smoothed, smoothingSteps } from '../log/series.ts';
import { Curve, shortNumber } from './curve.tsx';
import { useTone } from './look.ts';
import type { RunControls } from './run-controls.ts';
import type { RunView } from './run-view.ts';
import { Samples } from './samples.tsx';
import { StageBar, stageDetail } from './stage-bars.tsx';
import { useKeys } from './use-keys.ts';

/** What the dashboard is given anew whenever something happened. */
export interface DashboardProps {
  readonly view: RunView;
  readonly columns: number;
  /** Rows that it may fill: one less than the terminal has, or the terminal scrolls. */
  readonly rows: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly controls: RunControls;
  readonly onReadWarnings: () => void;
}

const help = [
  ['s', 'sample: makes the pictures after this step'],
  ['c', 'checkpoint: saves after this step'],
  ['p', 'pauses, and goes on'],
  ['up, down', 'another prompt'],
  ['left, right', 'an earlier or later step of its pictures'],
  ['w', 'warnings: read, and put away'],
  ['l', 'log'],
  ['?', 'this help'],
  ['x', 'stops the run after saving; asks first'],
  ['q, Ctrl-C', 'the same; on a run of another process they leave it alone'],
] as const;

/** A run in a terminal: curves, pictures, times, log; and keys that act on it. */
export function Dashboard({ view, columns, rows, now, controls, onReadWarnings }: DashboardProps) {
  const tone = useTone();
  const { selection, screen, notice } = useKeys({ view, controls, onReadWarnings });
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
  const logRows = isWide ? 6 : 2;
  // Title, training's bar, times, footer, and a line of warnings' heading where there are any.
  const body = rows - 4 - stageRows.length - shownWarnings.length - logRows;

  return (
    <Box flexDirection="column" width={columns} height={rows} overflowY="hidden">
      <Box justifyContent="space-between">
        <Text wrap="truncate">
          <Text {...tone('title')}>{view.name || 'sana-train'}</Text>
          {view.subject !== '' && `: ${view.subject}`}
          {view.model !== '' && <Text {...tone('quiet')}> on {view.model}</Text>}
        </Text>
        <Text>{state}</Text>
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
        {seconds
          ? `data ${formatDuration(seconds.data)}, forward and backward ${formatDuration(seconds.compute)}, update ${formatDuration(seconds.update)}; memory ${view.memoryMiB} MiB`
          : 'before the first step'}
      </Text>
      {screen === 'help' ? (
        <Lines height={body} lines={help.map(([key, text]) => `${key.padEnd(12)} ${text}`)} />
      ) : screen === 'log' ? (
        <Lines height={body} lines={log} />
      ) : (
        <Body view={view} selection={selection} width={columns} height={body} isWide={isWide} />
      )}
      {shownWarnings.map((text, i) => (
        <Text key={i} wrap="truncate" {...tone('warning')}>
          {`! ${text}${i === shownWarnings.length - 1 ? ` (${warnings.length}, w: read)` : ''}`}
        </Text>
      ))}
      <Box flexDirection="column" height={logRows} overflowY="hidden">
        {(screen === 'log' ? [] : log.slice(-logRows)).map((line, i) => (
          <Text key={i} wrap="truncate" {...tone('quiet')}>
            {line}
          </Text>
        ))}
      </Box>
      <Text wrap="truncate" {...(notice === undefined ? tone('quiet') : tone('warning'))}>
        {notice ??
          (view.end
            ? 'arrows pictures  l log  ? help  q leave'
            : `s sample  c checkpoint  p pause  arrows pictures  l log  ? help  ${controls.isOwn ? 'q stop' : 'x stop  q leave'}`)}
      </Text>
    </Box>
  );
}

function Lines({ lines, height }: { readonly lines: readonly string[]; readonly height: number }) {
  return (
    <Box flexDirection="column" height={height} overflowY="hidden">
      {lines.slice(-Math.max(0, height)).map((line, i) => (
        <Text key={i} wrap="truncate">
          {line}
        </Text>
      ))}
    </Box>
  );
}

/** Curves and pictures: beside one another where there is room, else one below the other. */
function Body({
  view,
  selection,
  width,
  height,
  isWide,
}: {
  readonly view: RunView;
  readonly selection: Parameters<typeof Samples>[0]['selection'];
  readonly width: number;
  readonly height: number;
  readonly isWide: boolean;
}) {
  const tone = useTone();
  const { loss, learningRate, validation, prompts } = view;
  const points = loss.points();
  const smooth = smoothed(points, smoothingSteps(points)).at(-1);
  const hasPictures = prompts.length > 0;
  const left = isWide && hasPictures ? Math.floor(width * 0.55) : width;
  const pictureRows = !hasPictures ? 0 : isWide ? height : Math.floor(height / 2);
  const validationRows = validation ? 1 + (isWide ? validation.bins.length : 0) : 0;
  const curveRows = (isWide ? height : height - pictureRows) - validationRows;
  const rateRows = curveRows >= 8 ? Math.max(3, Math.floor(curveRows / 4)) : 0;
  const rate = learningRate.last();
  const heading = `loss ${shortNumber(loss.last() ?? 0)}${smooth === undefined ? '' : `, smoothed ${shortNumber(smooth)}`}`;
  return (
    <Box flexDirection={isWide ? 'row' : 'column'} height={height} overflowY="hidden">
      <Box flexDirection="column" width={left} flexShrink={0}>
        {points.length > 0 && curveRows > 1 && (
          <Curve title={heading} points={points} width={left - 1} height={curveRows - rateRows} />
        )}
        {points.length > 0 && rateRows > 0 && (
          <Curve
            title={`learning rate ${shortNumber(rate ?? 0)}`}
            points={learningRate.points()}
            width={left - 1}
            height={rateRows}
            smooth={false}
          />
        )}
        {validation && (
          <Text wrap="truncate">
            validation at step {validation.step}: {shortNumber(validation.loss)}
          </Text>
        )}
        {validation &&
          isWide &&
          validation.bins.map(({ from, to, loss }) => (
            <Text key={from} wrap="truncate" {...tone('quiet')}>
              {`  sigma ${from.toFixed(2)} to ${to.toFixed(2)}  ${shortNumber(loss)}`}
            </Text>
          ))}
      </Box>
      {hasPictures && pictureRows > 2 && (
        <Samples
          runDir={view.runDir}
          prompts={prompts}
          selection={selection}
          width={isWide ? width - left : width}
          height={pictureRows}
        />
      )}
    </Box>
  );
}
