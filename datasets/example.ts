import type { PictureFormat } from '../src/images/open-picture.ts';
import type { Rgb } from '../src/images/render-picture.ts';
import type { Bucket } from './buckets.ts';
import type { Caption, CaptionRules } from './caption-text.ts';

/** A picture file as it was when the data set was scanned. */
export interface Picture {
  /** Where it lies. */
  readonly path: string;
  /** Its path below the data set's folder, with forward slashes. */
  readonly name: string;
  /** SHA-256 of the file's bytes, 64 hexadecimal digits: what caches are keyed by. */
  readonly contentHash: string;
  readonly format: PictureFormat;
  /** Pixels, once it is upright. */
  readonly height: number;
  readonly width: number;
  /** Whether it has an alpha channel, so that the background matters. */
  readonly hasAlpha: boolean;
}

/** Where a mask comes from: the picture's own alpha, or a file. */
export type MaskSource =
  | { readonly kind: 'alpha' }
  | { readonly kind: 'file'; readonly path: string; readonly contentHash: string };

/** How the pictures of one data set are used. */
export interface DatasetUse {
  readonly name: string;
  /** `class` pictures are the prior that DreamBooth preserves. */
  readonly kind: 'instance' | 'class';
  /** How often each picture comes in an epoch, at each of its resolutions. */
  readonly repeats: number;
  /** What the loss of each of its samples is multiplied by. */
  readonly weight: number;
  readonly crop: 'center' | 'random';
  /** Whether half of the uses are mirrored. */
  readonly flip: boolean;
  /** What transparent parts are put on. */
  readonly background: Rgb;
  readonly captions: CaptionRules;
}

/** A picture with all that belongs to it; it is never taken apart, so no latent can meet another picture's caption. */
export interface Example {
  /** `data set/path below its folder`, unique in a run. Random draws are keyed by it. */
  readonly id: string;
  readonly dataset: DatasetUse;
  readonly picture: Picture;
  /** One or more; an empty text where none was found. */
  readonly captions: readonly Caption[];
  readonly mask?: MaskSource;
  /** Its bucket at each resolution that it is used at; one or more. */
  readonly buckets: readonly Bucket[];
}
