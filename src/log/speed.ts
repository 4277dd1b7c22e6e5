/** Seconds that a speed is measured over at most: what was at hand already passes at once and says nothing of the rest. */
const longest = 30;

/** Items that a speed is measured over at least, where there are so many. */
const fewest = 3;

/** Seconds between two marks at least, so that there are few of them however fast it goes. */
const between = 0.25;

interface Mark {
  readonly done: number;
  readonly seconds: number;
}

/**
 * Makes a measure of how fast something goes now: over its last 30 seconds, and early on over the second half of its time
 * so far, since models are loaded and connections made with the first items.
 * @returns items a second, of so many done after so many seconds; undefined as long as the first one took most of them
 */
export function createSpeed(): (done: number, seconds: number) => number | undefined {
  let marks: readonly Mark[] = [];
  return (done, seconds) => {
    const start = marks[0] ?? { done, seconds };
    const newest = marks.at(-1);
    // Few marks, however fast it goes; the first item's is always there.
    const isFirst = newest?.done === start.done && done > start.done;
    if (newest === undefined || isFirst || seconds - newest.seconds >= between) marks = [...marks, { done, seconds }];
    const half = (seconds - start.seconds) / 2;
    if (!marks.some((mark) => mark.done > start.done && mark.seconds - start.seconds <= half)) return undefined;
    const begin = seconds - Math.min(longest, half);
    const at = marks.findLastIndex((mark) => mark.seconds <= begin && mark.done <= done - fewest);
    // What is older will not be needed again, but for the first two.
    if (at > 2) marks = [...marks.slice(0, 2), ...marks.slice(at)];
    const since = marks[at > 2 ? 2 : at] ?? start;
    return done > since.done ? (done - since.done) / (seconds - since.seconds) : undefined;
  };
}
