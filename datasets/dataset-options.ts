import { basename, resolve } from 'node:path';
import { UserError } from '../src/errors.ts';
import { white } from '../src/images/render-picture.ts';
import type { Rgb } from '../src/images/render-picture.ts';
import type { CaptionRules } from './caption-text.ts';
import type { DatasetUse } from './example.ts';
import type { CaptionFrom } from './find-captions.ts';

/** One data set: a folder, and how its pictures are used. */
export interface DatasetOptions extends CaptionRules {
  readonly folder: string;
  /** What reports and ids call it. @default the folder's own name */
  readonly name?: string;
  /** Globs relative to the folder; `!` in front leaves out. @default everything */
  readonly files?: readonly string[];
  /** @default 'instance' */
  readonly kind?: 'instance' | 'class';
  /** Base resolutions; a picture is used at each of them that it is large enough for, and at the smallest anyway. */
  readonly resolutions: readonly number[];
  /** Squares alone, as diffusers' scripts do it, and not Sana's aspect ratios. @default false */
  readonly square?: boolean;
  /** How often a picture comes in an epoch, at each resolution. @default 1 */
  readonly repeats?: number;
  /** What the loss of each sample is multiplied by. @default 1 */
  readonly weight?: number;
  /** @default 'center' */
  readonly crop?: 'center' | 'random';
  /** Mirrors half of the uses, drawn anew in each epoch. @default false */
  readonly flip?: boolean;
  /** What transparent parts are put on. @default white */
  readonly background?: Rgb;
  /** Pictures with a shorter side than this are left out. @default 64 */
  readonly minSide?: number;
  /** @default 'auto' */
  readonly captionsFrom?: CaptionFrom;
  /** A table of captions, relative to the folder. */
  readonly captionTable?: string;
  /** The caption of pictures that have none, or of all with captionsFrom 'instance_prompt'. */
  readonly instancePrompt?: string;
  /** Masks for the loss: the pictures' alpha, or files of the same names in another folder (relative to this one). */
  readonly mask?: 'alpha' | { readonly folder: string };
  /** What is done with files whose bytes are those of an earlier one. @default 'keep' */
  readonly duplicates?: 'keep' | 'skip';
  readonly maxPixels?: number;
  readonly maxFileBytes?: number;
}

function wholeFrom1(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new UserError(`The data set's ${what} is ${value}; use a whole number from 1.`);
  }
  return value;
}

/**
 * The options that matter after a data set has been read, checked and completed.
 * @throws UserError for a value out of range
 */
export function datasetUse(options: DatasetOptions): DatasetUse {
  const { folder, weight = 1, repeats = 1, dropout = 0, keepTags = 0 } = options;
  if (!Number.isFinite(weight) || weight < 0)
    throw new UserError(`The data set's weight is ${weight}; use a number from 0.`);
  if (!(dropout >= 0 && dropout <= 1))
    throw new UserError(`The caption dropout is ${dropout}; use a share from 0 to 1.`);
  if (!Number.isSafeInteger(keepTags) || keepTags < 0) {
    throw new UserError(`The number of tags kept in place is ${keepTags}; use a whole number from 0.`);
  }
  const { choose, triggerWord, prefix, suffix, shuffleTags } = options;
  return {
    name: options.name ?? basename(resolve(folder)),
    kind: options.kind ?? 'instance',
    repeats: wholeFrom1(repeats, 'number of repeats'),
    weight,
    crop: options.crop ?? 'center',
    flip: options.flip ?? false,
    background: options.background ?? white,
    captions: {
      dropout,
      keepTags,
      ...(choose && { choose }),
      ...(triggerWord !== undefined && { triggerWord }),
      ...(prefix !== undefined && { prefix }),
      ...(suffix !== undefined && { suffix }),
      ...(shuffleTags !== undefined && { shuffleTags }),
    },
  };
}
