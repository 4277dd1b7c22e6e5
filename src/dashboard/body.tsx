import { Box } from 'ink';

import { smoothed, smoothingSteps } from '../log/series.ts';
import { Block } from './block.tsx';
import { Curve, shortNumber } from './curve.tsx';
import { heading } from './heading.ts';
import type { RunView } from './run-view.ts';
import { Samples, type Selection } from './samples.tsx';
import { bar } from './stage-bars.ts';
import type { Piece } from './styled-line.ts';

/** Heights of a bin's loss, low to high. */
const heights = '▁▂▃▄▅▆▇█';

/** Losses as a row of small columns, the highest full. */
function sparkline(values: readonly number[]): string {
  const most = Math.max(...values, Number.MIN_VALUE);
  return values.map((value) => heights[Math.round((value / most) * (heights.length - 1))] ?? ' ').join('');
}

/** Validation loss by noise level: a bar each where there is room, else a line with small columns. */
function validationLines(
  { step, loss, bins }: NonNullable<RunView['validation']>,
  width: number,
  isWide: boolean,
): readonly (readonly Piece[])[] {
  const most = Math.max(...bins.map((bin) => bin.loss), Number.MIN_VALUE);
  const columns = isWide || bins.length < 2 ? '' : `, by sigma ${sparkline(bins.map((bin) => bin.loss))}`;
  const first = heading('validation', `${shortNumber(loss)} at step ${step}${columns}`, width);
  if (!isWide) return [first];
  const barWidth = Math.max(4, Math.min(40, width - 30));
  return [
    first,
    ...bins.map(({ from, to, loss }): readonly Piece[] => [
      ['quiet', `sigma ${from.toFixed(2)} to ${to.toFixed(2)} `],
      ['line', bar(loss / most, barWidth).full],
      ` ${shortNumber(loss)}`,
    ]),
  ];
}

/** How near the newest samples come, and how much of the class is still as it was. */
function metricsLine(
  { step, subject, class: ofClass }: NonNullable<RunView['metrics']>,
  width: number,
): readonly Piece[] {
  const start = ofClass?.clipIToStart;
  const parts = [
    subject && `CLIP-I ${subject.clipI.toFixed(2)}, CLIP-T ${subject.clipT.toFixed(2)}`,
    start === undefined ? undefined : `class kept ${start.toFixed(2)}`,
  ].filter((part) => part !== undefined);
  return heading('metrics', `${parts.join(', ')} at step ${step}`, width);
}

/** Curves and pictures: beside one another where there is room, else one below the other. */
export function Body({
  view,
  selection,
  width,
  height,
  isWide,
}: {
  readonly view: RunView;
  readonly selection: Selection;
  readonly width: number;
  readonly height: number;
  readonly isWide: boolean;
}) {
  const { loss, learningRate, validation, metrics, prompts } = view;
  const points = loss.points();
  const smooth = smoothed(points, smoothingSteps(points)).at(-1);
  const hasPictures = prompts.length > 0;
  const left = isWide && hasPictures ? Math.floor(width * 0.55) : width;
  const column = isWide && hasPictures ? left - 2 : width;
  const pictureRows = !hasPictures ? 0 : isWide ? height : Math.max(4, Math.floor(height / 2));
  const validationRows = validation ? 1 + (isWide ? validation.bins.length : 0) : 0;
  const curveRows = (isWide ? height : height - pictureRows) - validationRows - (metrics ? 1 : 0);
  const rateRows = curveRows >= 8 ? Math.max(3, Math.floor(curveRows / 4)) : 0;
  const [first, last] = [points[0]?.from ?? 0, points.at(-1)?.to ?? 0];
  const now = `${shortNumber(loss.last() ?? 0)}${smooth === undefined ? '' : `, smoothed ${shortNumber(smooth)}`}`;
  return (
    <Box flexDirection={isWide ? 'row' : 'column'} height={height} overflowY="hidden">
      <Box flexDirection="column" width={left} flexShrink={0}>
        {points.length === 0 && curveRows > 1 && (
          <Block
            id="loss"
            lines={[heading('loss', 'from the first step on', column)]}
            width={column}
            height={curveRows}
          />
        )}
        {points.length > 0 && curveRows > 1 && (
          <Curve
            name="loss"
            text={`${now}, steps ${first} to ${last}`}
            points={points}
            width={column}
            height={curveRows - rateRows}
          />
        )}
        {points.length > 0 && rateRows > 0 && (
          <Curve
            name="learning rate"
            text={shortNumber(learningRate.last() ?? 0)}
            points={learningRate.points()}
            width={column}
            height={rateRows}
            smooth={false}
          />
        )}
        {metrics && <Block id="metrics" lines={[metricsLine(metrics, column)]} width={column} />}
        {validation && <Block id="validation" lines={validationLines(validation, column, isWide)} width={column} />}
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
