import { pMapIterable } from 'p-map';

import { type Caption, completeCaption } from '../../datasets/caption-text.ts';
import type { Example } from '../../datasets/example.ts';
import { readPictureFile } from '../../datasets/picture-file.ts';
import { UserError } from '../errors.ts';
import { PictureError } from '../images/picture-error.ts';
import type { RgbPicture } from '../metrics/pillow-resize.ts';
import { type Captioner, CaptionError, type PictureToCaption } from './captioner.ts';
import type { CaptionRecord, CaptionStore } from './caption-store.ts';
import type { Rater } from './create-captioners.ts';
import { decodeForModels, sideForModels } from './decode-for-models.ts';
import { polishCaption } from './polish-caption.ts';

/** A caption that a captioner gave. */
export interface MadeCaption extends Caption {
  readonly source: string;
  /** CLIP tokens that are over what it reads at once. */
  readonly excess: number;
}

/** Why a picture lacks a caption. */
export interface CaptionFailure {
  readonly captioner: string;
  readonly reason: string;
  /** Whether the captioner failed as a whole, so that the reason is that of many pictures. */
  readonly isLasting: boolean;
}

/** What came of one picture. */
export interface CaptionedPicture {
  readonly example: Example;
  /** In the order of the captioners. */
  readonly captions: readonly MadeCaption[];
  readonly failures: readonly CaptionFailure[];
  /** Whether any model was asked, and it was not all in captions.jsonl. */
  readonly isNew: boolean;
}

/** What captions are made with. */
export interface CaptionPicturesOptions {
  readonly captioners: readonly Captioner[];
  readonly rater?: Rater;
  readonly store: CaptionStore;
  /** Pictures at once. @default 4 */
  readonly concurrency?: number;
  /** What `picture` is in captions.jsonl. @default the example's id */
  readonly nameOf?: (example: Example) => string;
  readonly signal?: AbortSignal;
}

/** Decoded pictures that are kept for the next captioner and CLIP: 12 MB each at most. */
const decodedAtOnce = 8;

/** Reads pictures for models, and remembers the last ones; one that has changed since the data set was read is refused. */
function createDecoder(): (example: Example, looksAt?: number) => Promise<RgbPicture> {
  const recent = new Map<string, Promise<RgbPicture>>();
  async function decode({ picture }: Example, side: number): Promise<RgbPicture> {
    const { bytes, contentHash } = await readPictureFile(picture.path);
    if (contentHash !== picture.contentHash) {
      throw new PictureError('changed', 'It has changed since the data set was read; start again.');
    }
    return await decodeForModels(bytes, side);
  }
  return (example, looksAt) => {
    const side = sideForModels(example.picture, looksAt);
    const key = `${example.picture.contentHash} ${side}`;
    const known = recent.get(key);
    if (known) return known;
    const decoded = decode(example, side);
    recent.set(key, decoded);
    // The failure is told to whom it was decoded for.
    decoded.catch(() => undefined);
    for (const oldest of recent.keys()) if (recent.size > decodedAtOnce) recent.delete(oldest);
    return decoded;
  };
}

function failureOf(error: unknown, captioner: string): CaptionFailure {
  if (error instanceof CaptionError) return { captioner, reason: error.message, isLasting: error.isLasting };
  if (error instanceof PictureError) return { captioner, reason: error.message, isLasting: false };
  // A model that cannot be loaded, a full disk: there is no use in going on. The rest are models' own errors.
  if (error instanceof UserError || !(error instanceof Error) || error.name === 'AbortError') throw error;
  return { captioner, reason: `It failed (${error.message.split('\n')[0] ?? ''}).`, isLasting: false };
}

/**
 * Captions every picture by every captioner and rates what they say, several pictures at a time. What captions.jsonl has
 * already is taken from there, and what is new is in it before the picture is told of. A picture that cannot be read and
 * a captioner that fails are told of, and stop nothing else.
 *
 * @throws UserError when a model cannot be loaded or captions.jsonl not be written
 */
export function captionPictures(
  examples: readonly Example[],
  options: CaptionPicturesOptions,
): AsyncIterable<CaptionedPicture> {
  const { captioners, rater, store, concurrency = 4, nameOf = ({ id }) => id, signal } = options;
  const decode = createDecoder();
  // Copies of a picture are captioned once.
  const underWay = new Map<string, Promise<readonly string[]>>();

  async function wordsOf(picture: PictureToCaption, captioner: Captioner): Promise<readonly string[]> {
    if (!captioner.keep) return await captioner.caption(picture, signal);
    const known = store.said(picture.hash, captioner.settings);
    if (known !== undefined) return [known];
    const key = `${picture.hash} ${captioner.name}`;
    const words = underWay.get(key) ?? captioner.caption(picture, signal);
    underWay.set(key, words);
    return await words;
  }

  async function captionBy(
    captioner: Captioner,
    picture: PictureToCaption,
    name: string,
  ): Promise<{ readonly made: readonly MadeCaption[]; readonly isNew: boolean }> {
    const { settings, prefix, suffix, polish } = captioner;
    const edited = store.edited(picture.hash, captioner.name);
    const words = edited === undefined ? await wordsOf(picture, captioner) : [edited];
    const texts = words.map((said) => {
      if (said === edited) return said;
      const polished = polishCaption(said, polish);
      if ('problem' in polished) throw new CaptionError(`It ${polished.problem}.`);
      return completeWith(polished.text, prefix, suffix, picture.triggerWord);
    });
    const missing = rater ? texts.filter((text) => store.rating(picture.hash, text, rater.key) === undefined) : [];
    const fresh = rater && missing.length > 0 ? await rater.rate(picture, missing) : [];
    const made = texts.map((text): MadeCaption => {
      const rating = rater && (store.rating(picture.hash, text, rater.key) ?? fresh[missing.indexOf(text)]);
      return { text, source: captioner.name, excess: rating?.excess ?? 0, ...(rating && { score: rating.score }) };
    });
    const records = made.map(({ text, score, excess }, i): CaptionRecord => {
      const said = words[i] ?? text;
      return {
        picture: name,
        hash: picture.hash,
        captioner: captioner.name,
        text,
        ...(said !== text && { said }),
        ...(score !== undefined && { score }),
        ...(excess > 0 && { excess }),
        settings,
        ...(rater && { clip: rater.key }),
        ...(edited !== undefined && { edited: true }),
      };
    });
    const isNew = await store.put(records);
    underWay.delete(`${picture.hash} ${captioner.name}`);
    return { made, isNew };
  }

  async function captionOne(example: Example): Promise<CaptionedPicture> {
    signal?.throwIfAborted();
    const { id, picture, dataset } = example;
    const toCaption: PictureToCaption = {
      id,
      path: picture.path,
      hash: picture.contentHash,
      pixels: (looksAt) => decode(example, looksAt),
      existing: example.captions.flatMap(({ text, source }) =>
        captioners.some(({ name }) => name === source) ? [] : [text],
      ),
      triggerWord: dataset.captions.triggerWord ?? '',
    };
    const failures: CaptionFailure[] = [];
    const results = await Promise.all(
      captioners.map(async (captioner) => {
        try {
          return await captionBy(captioner, toCaption, nameOf(example));
        } catch (error) {
          underWay.delete(`${picture.contentHash} ${captioner.name}`);
          signal?.throwIfAborted();
          failures.push(failureOf(error, captioner.name));
          return { made: [], isNew: true };
        }
      }),
    );
    return {
      example,
      captions: results.flatMap(({ made }) => made),
      failures,
      isNew: results.some(({ isNew }) => isNew),
    };
  }

  return pMapIterable(examples, captionOne, { concurrency, backpressure: 2 * concurrency });
}

/** A caption with its captioner's affixes. The trigger word goes where they say; data sets add it where it is missing. */
function completeWith(text: string, prefix: string, suffix: string, trigger: string): string {
  const triggerWord = `${prefix}${suffix}`.includes('[trigger]') ? trigger : '';
  return prefix === '' && suffix === '' ? text : completeCaption(text, { prefix, suffix, triggerWord });
}
