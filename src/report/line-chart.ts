import { type Html, html, scriptJson } from './html.ts';

/** One line of a chart. */
export interface ChartLine {
  readonly name: string;
  /** Which of the page's colours, from 0. */
  readonly color: number;
  /** Ascending steps, each with its value. */
  readonly points: readonly (readonly [step: number, value: number])[];
  /** Raw values behind a smoothed line. @default false */
  readonly faint?: boolean;
  /** Lowest and highest of the values that each point stands for. */
  readonly band?: readonly (readonly [step: number, low: number, high: number])[];
}

/** A chart of values over steps. */
export interface Chart {
  readonly title: string;
  readonly about?: string;
  readonly lines: readonly ChartLine[];
  /** Whether the axis starts at zero. @default false */
  readonly fromZero?: boolean;
}

/** Numbers that a person can read: four digits that count, without an exponent where it can be. */
export function formatValue(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2).replace('e+', 'e');
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

/** Lowest and highest value to draw: of clear lines all, of faint ones without the hundredth that sticks out. */
function valueRange({ lines, fromZero }: Chart): readonly [number, number] {
  const kept = lines.flatMap(({ points, faint }) => {
    const values = points.map(([, value]) => value).sort((a, b) => a - b);
    const cut = faint === true ? Math.floor(values.length / 100) : 0;
    return [values[cut], values[values.length - 1 - cut]].filter((value) => value !== undefined);
  });
  let [low, high] = [Math.min(...kept), Math.max(...kept)];
  if (fromZero === true) low = Math.min(0, low);
  if (high - low < 1e-12) [low, high] = [low - Math.abs(low || 1) / 10, high + Math.abs(high || 1) / 10];
  const margin = (high - low) / 20;
  return [fromZero === true && low === 0 ? 0 : low - margin, high + margin];
}

/**
 * A chart as SVG, with a slider below that reads the values at a step, by hand, key or pointer. The plot stretches with
 * the page and its texts do not.
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
  const path = (points: readonly (readonly [number, number])[]): string =>
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
  const yTicks = roundTicks(low, high, 5);
  const xTicks = roundTicks(first, last, 5);
  const data = { steps, lines: lines.map(({ name, color, points }) => ({ name, color, points })), low, high };
  return html`<figure class="chart" data-chart>
    <figcaption>
      <h3>${chart.title}</h3>
      ${chart.about === undefined ? html`` : html`<p>${chart.about}</p>`}
    </figcaption>
    <div class="plot">
      <svg viewBox="0 0 1000 300" preserveAspectRatio="none" role="img" aria-label="${chart.title} by step: ${summary}">
        ${yTicks.map((tick) => html`<path class="grid" d="M0 ${y(tick)}H1000" />`)}${drawn}
        <path class="cursor" d="" />
      </svg>
      ${yTicks.map(
        (tick) =>
          html`<span class="ytick" aria-hidden="true" style="top:${round(y(tick) / 3)}%">${formatValue(tick)}</span>`,
      )}${xTicks.map(
        (tick) => html`<span class="xtick" aria-hidden="true" style="left:${round(x(tick) / 10)}%">${tick}</span>`,
      )}
    </div>
    <label class="reader"
      >Step<input
        type="range"
        min="0"
        max="${steps.length - 1}"
        value="${steps.length - 1}"
        aria-valuetext="step ${last}: ${summary}"
      /><span class="value" aria-hidden="true">${last}</span></label
    >
    <p class="legend">
      ${lines.map(
        ({ name, color, faint }) => html`<span class="key c${color}${faint === true ? ' faint' : ''}">${name}</span>`,
      )}
    </p>
    <script type="application/json">
      ${scriptJson(data)}
    </script>
  </figure>`;
}
