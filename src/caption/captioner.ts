import type { RgbPicture } from '../metrics/pillow-resize.ts';
import type { PolishOptions } from './polish-caption.ts';

/** A picture as a captioner gets it. */
export interface PictureToCaption {
  /** The data set and the picture's path below its folder. */
  readonly id: string;
  readonly path: string;
  /** SHA-256 of its file. */
  readonly hash: string;
  /**
   * Upright, on white, its longer side at most 2048 pixels; a large one smaller for a model that scales every picture's
   * shorter side to `looksAt` pixels. Decoded once for all that see the same.
   */
  readonly pixels: (looksAt?: number) => Promise<RgbPicture>;
  /** The captions that it has already. */
  readonly existing: readonly string[];
  /** The word that stands for what is learned; "" for none. */
  readonly triggerWord: string;
}

/**
 * Says what is on a picture: one text or, of captions that are there already, several.
 * @throws CaptionError when it cannot
 */
export type CaptionFunction = (picture: PictureToCaption, signal?: AbortSignal) => Promise<readonly string[]>;

/** A captioner that is ready, or will load its model with the first picture. */
export interface Captioner {
  /** What it is called in files and reports; no two captioners share a name. */
  readonly name: string;
  /** All that decides its words, for captions.jsonl: with the same settings no picture is captioned twice. */
  readonly settings: Readonly<Record<string, string | number>>;
  /** Whether its words are taken from captions.jsonl; false where they cost nothing to get again. */
  readonly keep: boolean;
  readonly polish: PolishOptions;
  /** Put before and after its captions; `[trigger]` is the trigger word. */
  readonly prefix: string;
  readonly suffix: string;
  readonly caption: CaptionFunction;
}

/** Why a picture has no caption by a captioner: a sentence. */
export class CaptionError extends Error {
  override readonly name = 'CaptionError';
  /** Whether the captioner would fail on every other picture too. */
  readonly isLasting: boolean;

  constructor(
    message: string,
    { isLasting = false, ...options }: ErrorOptions & { readonly isLasting?: boolean } = {},
  ) {
    super(message, options);
    this.isLasting = isLasting;
  }
}
