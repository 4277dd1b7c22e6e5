/** Some neighbouring steps of a curve. */
export interface SeriesPoint {
  /** First and last step in it, the same where it holds one. */
  readonly from: number;
  readonly to: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** A curve of any length in bounded memory. */
export interface Series {
  add(step: number, value: number): void;
  /** Forgets what is after `step`: a resumed run makes those steps again. */
  truncate(step: number): void;
  /** Neighbours merged, oldest first; never more than the capacity. */
  points(): readonly SeriesPoint[];
  /** The value that was added last. */
  last(): number | undefined;
}

function merged(a: SeriesPoint, b: SeriesPoint): SeriesPoint {
  const count = a.count + b.count;
  return {
    from: a.from,
    to: b.to,
    mean: (a.mean * a.count + b.mean * b.count) / count,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    count,
  };
}

/**
 * Makes a curve that keeps at most `capacity` points: when it is full, neighbours are merged by pairs, and from then on
 * as many values go into each point. Adding costs the same at step 100,000 as at step 100. Values that are not finite
 * are left out.
 */
export function createSeries(capacity = 1024): Series {
  let points: SeriesPoint[] = [];
  let perPoint = 1;
  let last: number | undefined;
  return {
    add(step, value) {
      if (!Number.isFinite(value)) return;
      last = value;
      const point = { from: step, to: step, mean: value, min: value, max: value, count: 1 };
      const newest = points.at(-1);
      if (newest && newest.count < perPoint) {
        points[points.length - 1] = merged(newest, point);
        return;
      }
      if (points.length >= capacity) {
        const pairs: SeriesPoint[] = [];
        for (let i = 0; i < points.length; i += 2) {
          const [a, b] = [points[i], points[i + 1]];
          if (a) pairs.push(b ? merged(a, b) : a);
        }
        points = pairs;
        perPoint *= 2;
      }
      points.push(point);
    },
    truncate(step) {
      while ((points.at(-1)?.from ?? 0) > step) points.pop();
    },
    points: () => points,
    last: () => last,
  };
}

/**
 * The curve's exponential moving average, without the pull towards zero at its beginning (Adam's bias correction).
 * @param points of a series
 * @param steps after how many steps a value counts 1/e
 * @returns one value a point
 */
export function smoothed(points: readonly SeriesPoint[], steps: number): readonly number[] {
  let [sum, weight, at] = [0, 0, points[0]?.to ?? 0];
  return points.map(({ to, mean, count }) => {
    const decay = Math.exp(-(to - at) / steps);
    at = to;
    sum = sum * decay + mean * count;
    weight = weight * decay + count;
    return sum / weight;
  });
}

/** The length in steps that suits `smoothed` for a curve: a fortieth of it, and five at least. */
export function smoothingSteps(points: readonly SeriesPoint[]): number {
  return Math.max(5, ((points.at(-1)?.to ?? 0) - (points[0]?.from ?? 0)) / 40);
}
