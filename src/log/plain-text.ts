import { stripVTControlCharacters } from 'node:util';

/**
 * Characters that a terminal does not show as one: controls (C0, C1), line separators, what turns the direction of
 * writing around, and plane 16, whose characters stand for pictures in the dashboard's frames.
 */
const unshown =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\u{100000}-\u{10ffff}]+/gu;

/**
 * A text of one line as a terminal may be given it: what comes from a caption, a prompt or another process's file must
 * not move its cursor, change its colours or its title.
 */
export function plainText(text: string): string {
  return stripVTControlCharacters(text).replace(unshown, ' ');
}
