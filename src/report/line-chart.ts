import { type Html, html, scriptJson } from './html.ts';

/** A step and its value. */
export type ChartPoint = readonly [step: number, value: number];

/** One line of a chart. */
export interface ChartLine {
  readonly name: string;
  /** Which of the page's colours, from 0. */
  readonly color: number;
  /** Ascending steps, each with its value. */
  readonly points: readonly ChartPoint[];
  /** Raw values behind a smoothed line. @default false */
  readonly faint?: boolean;
  /** Lowest and highest of the values that each point stands for; it may reach beyond the plot. */
  readonly band?: readonly (readonly [step: number, low: number, high: number])[];
}

/** A chart of values over steps. */
export interface Chart {
  readonly title: string;
  readonly about?: string;
  readonly lines: readonly ChartLine[];
  /** Whether the axis starts at zero. @default false */
  readonly fromZero?: boolean;
  /** Whether it takes the page's width. @default false */
  readonly wide?: boolean;
}

/** Numbers that a person can read: four digits that count, without an exponent where it can be. */
export function formatValue(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return Number(value.toPrecision(3)).toExponential().replace('e+', 'e');
  return String(Number(value.toPrecision(size >= 10_000 ? 6 : 4)));
}

/** About `count` round numbers (1, 2 or 5 times a power of ten apart) between two values. */
export function roundTicks(low: number, high: number, count: number): readonly number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / count));
  const spacing = ([1, 2, 5].find((factor) => span / (factor * power) <= count) ?? 10) * power;
  const ticks: number[] = [];
  for (let i = Math.ceil(low / spacing); i * spacing <= high * (1 + 1e-12); i++) ticks.push(i * spacing);
  return ticks;
}

function smallest(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

function largest(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}

/** The ends of ascending values; of faint lines without the hundredth that sticks out by half of all others' range. */
function ends(sorted: readonly number[], faint: boolean): readonly number[] {
  const cut = faint ? Math.floor(sorted.length / 100) : 0;
  const [low, high] = [sorted[cut], sorted[sorted.length - 1 - cut]];
  const [lowest, highest] = [sorted[0], sorted.at(-1)];
  if (low === undefined || high === undefined || lowest === undefined || highest === undefined) return [];
  const slack = (high - low) / 2;
  return [lowest < low - slack ? low : lowest, highest > high + slack ? high : highest];
}

/** Lowest and highest value to draw, with a margin. */
function valueRange({ lines, fromZero }: Chart): readonly [number, number] {
  const kept = lines.flatMap(({ points, faint }) =>
    ends(
      points.map(([, value]) => value).sort((a, b) => a - b),
      faint === true,
    ),
  );
  let [low, high] = [smallest(kept), largest(kept)];
  if (fromZero === true) low = Math.min(0, low);
  if (high - low < 1e-12) [low, high] = [low - Math.abs(low || 1) / 10, high + Math.abs(high || 1) / 10];
  const margin = (high - low) / 20;
  return [fromZero === true && low === 0 ? 0 : low - margin, high + margin];
}

/** The highest value that a line's points stand for, and its step. */
function peak({ points, band }: ChartLine): ChartPoint {
  const highs = band ? band.map(([step, , high]) => [step, high] as const) : points;
  return highs.reduce((best, point) => (point[1] > best[1] ? point : best), [0, Number.NEGATIVE_INFINITY]);
}

/** Five digits say more than a pixel shows. */
function short(value: number): number {
  return Number(value.toPrecision(5));
}

/**
 * A chart as SVG, with a slider on its axis that reads the values at a step, by hand, key or pointer. The plot stretches
 * with the page and its texts do not.
 */
export function lineChart(chart: Chart): Html {
  const lines = chart.lines.filter(({ points }) => points.length > 0);
  if (lines.length === 0) return html``;
  const steps = [...new Set(lines.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  const [first, last] = [steps[0] ?? 0, steps.at(-1) ?? 0];
  const [low, high] = valueRange({ ...chart, lines });
  const round = (value: number): number => Math.round(value * 100) / 100;
  const x = (step: number): number => round(last > first ? ((step - first) / (last - first)) * 1000 : 500);
  const y = (value: number): number => round(((high - value) / (high - low)) * 300);
  const path = (points: readonly ChartPoint[]): string =>
    `M${points.map(([step, value]) => `${x(step)} ${y(value)}`).join('L')}`;

  const drawn = lines.map(({ points, faint, color, band }) => {
    const merged = band?.some(([, bottom, top]) => top > bottom) === true ? band : undefined;
    const edge = merged && [
      ...merged.map(([step, , top]) => [step, top] as const),
      ...merged.toReversed().map(([step, bottom]) => [step, bottom] as const),
    ];
    return html`${edge ? html`<path class="band c${color}" d="${path(edge)}Z" />` : html``}<path
        class="line c${color}${faint === true ? ' faint' : ''}"
        d="${path(points)}"
      />${points.length === 1 ? html`<path class="line dot c${color}" d="${path([...points, ...points])}" />` : html``}`;
  });
  const summary = lines
    .filter(({ faint }) => faint !== true)
    .map(
      ({ name, points }) =>
        `${name} from ${formatValue(points[0]?.[1] ?? 0)} to ${formatValue(points.at(-1)?.[1] ?? 0)}`,
    )
    .join('; ');
  const beyond = lines
    .map((line) => ({ name: line.name, at: peak(line) }))
    .filter(({ at }) => at[1] > high)
    .map(({ name, at: [step, value] }) => `${name} ${formatValue(value)} near step ${step}`);
  const about = [chart.about, beyond.length > 0 ? `Beyond the plot, at most: ${beyond.join(', ')}.` : undefined].filter(
    (part) => part !== undefined,
  );
  const yTicks = roundTicks(low, high, 5);
  const xTicks = roundTicks(first, last, 6);
  const data = {
    steps,
    low: short(low),
    high: short(high),
    lines: lines.map(({ name, color, points }) => ({
      name,
      color,
      points: points.map(([step, value]) => [step, short(value)]),
    })),
  };
  return html`<figure class="chart card${chart.wide === true && ' wide'}" data-chart>
    <figcaption>
      <h3>${chart.title}</h3>
      <span class="value" aria-hidden="true">step ${last}</span>
      ${about.length > 0 && html`<p>${about.join(' ')}</p>`}
    </figcaption>
    <p class="legend">
      ${lines.map(
        ({ name, color, faint, points }) =>
          html`<span class="key c${color}${faint === true ? ' faint' : ''}"
            >${name} <b>${formatValue(points.at(-1)?.[1] ?? 0)}</b></span
          >`,
      )}
    </p>
    <div class="plot">
      <svg viewBox="0 0 1000 300" preserveAspectRatio="none" role="img" aria-label="${chart.title} by step: ${summary}">
        ${yTicks.map((tick) => html`<path class="grid" d="M0 ${y(tick)}H1000" />`)}${drawn}
        <path class="cursor" d="" />
        ${lines.map(({ color }) => html`<path class="mark c${color}" d="" />`)}
      </svg>
      ${yTicks.map(
        (tick) =>
          html`<span class="ytick" aria-hidden="true" style="top:${round(y(tick) / 3)}%">${formatValue(tick)}</span>`,
      )}${xTicks.map(
        (tick) => html`<span class="xtick" aria-hidden="true" style="left:${round(x(tick) / 10)}%">${tick}</span>`,
      )}
      <input
        type="range"
        min="0"
        max="${steps.length - 1}"
        value="${steps.length - 1}"
        aria-label="${chart.title}: values at a step"
        aria-valuetext="step ${last}: ${summary}"
      />
    </div>
    <script type="application/json">
      ${scriptJson(data)}
    </script>
  </figure>`;
}
