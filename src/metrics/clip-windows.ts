/** How a caption that CLIP cannot read at once is rated: by its best window, or by its beginning. */
export type ClipWindow = 'best' | 'truncate';

/**
 * The parts of a caption's tokens that CLIP reads, one after another: all of them where they fit, else windows of
 * `length` tokens that overlap by half, the last one at the end; with 'truncate' the first one alone.
 * @param ids the caption's tokens without those for beginning and end
 */
export function clipWindows(
  ids: readonly number[],
  length: number,
  window: ClipWindow,
): readonly (readonly number[])[] {
  if (ids.length <= length || window === 'truncate') return [ids.slice(0, length)];
  const step = Math.max(1, Math.floor(length / 2));
  const starts: number[] = [];
  for (let start = 0; start + length < ids.length; start += step) starts.push(start);
  return [...starts, ids.length - length].map((start) => ids.slice(start, start + length));
}
