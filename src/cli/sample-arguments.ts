import { UserError } from '../errors.ts';

/** An adapter as the command line names it. */
export interface AdapterArgument {
  readonly path: string;
  readonly scale: number;
}

/** A picture's size in pixels. */
export interface SizeArgument {
  readonly width: number;
  readonly height: number;
}

/**
 * `FILE` or `FILE:SCALE`. A colon that a path has, after a drive's letter or before a separator, is the path's.
 * @throws UserError when what follows the colon is no number
 */
export function parseAdapter(text: string): AdapterArgument {
  const colon = text.lastIndexOf(':');
  const [path, tail] = [text.slice(0, colon), text.slice(colon + 1)];
  const isDrive = /^[a-z]$/i.test(path) && !isDecimal(tail);
  if (colon < 0 || isDrive || /[/\\]/.test(tail)) return { path: requirePath(text, text), scale: 1 };
  if (!isDecimal(tail)) {
    throw new UserError(
      `--adapter ${text}: ${JSON.stringify(tail)} is no scale; write FILE or FILE:SCALE, such as dog.safetensors:0.8.`,
    );
  }
  return { path: requirePath(path, text), scale: Number(tail) };
}

function requirePath(path: string, text: string): string {
  if (path === '') throw new UserError(`--adapter ${text} names no file; write FILE or FILE:SCALE.`);
  return path;
}

/**
 * `512` for a square, `512x768` for width x height.
 * @throws UserError for anything else
 */
export function parseSize(text: string): SizeArgument {
  const [, width, height = width] = /^(\d+)(?:[x×](\d+))?$/i.exec(text.trim()) ?? [];
  if (width === undefined || Number(width) < 1 || Number(height) < 1) {
    throw new UserError(`--size is ${text}; write pixels, such as 512 for a square or 512x768 for width x height.`);
  }
  return { width: Number(width), height: Number(height) };
}

/**
 * Two noise levels, `0.1:0.9`.
 * @throws UserError for anything else
 */
export function parseInterval(text: string): readonly [number, number] {
  const [low = '', high = '', ...rest] = text.split(':');
  if (rest.length > 0 || !isDecimal(low) || !isDecimal(high) || Number(low) >= Number(high)) {
    throw new UserError(
      `--guidance-interval is ${text}; write two noise levels from 0 to 1, the lower first, such as 0.1:0.9.`,
    );
  }
  return [Number(low), Number(high)];
}

/**
 * A parser of an option's number.
 * @param least the smallest that it may be, @param wholeOnly whether it must be a whole number
 */
export function numberParser(
  option: string,
  { least, wholeOnly = false }: { readonly least?: number; readonly wholeOnly?: boolean } = {},
) {
  return (text: string): number => {
    const value = Number(text);
    if (isDecimal(text) && (!wholeOnly || Number.isSafeInteger(value)) && value >= (least ?? value)) return value;
    const expected = `${wholeOnly ? 'a whole number' : 'a number'}${least === undefined ? '' : ` from ${least}`}`;
    throw new UserError(`${option} is ${text}; use ${expected}.`);
  };
}

/** Whether a text is a finite decimal number; Number() also takes '', '0x10' and 'Infinity'. */
function isDecimal(text: string): boolean {
  return /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(text) && Number.isFinite(Number(text));
}
