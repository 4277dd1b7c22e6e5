import type { Random } from '../src/random.ts';

/** One caption of a picture. */
export interface Caption {
  readonly text: string;
  /** 100 x cosine of CLIP, where a captioning run scored it. */
  readonly score?: number;
  /** Where it comes from: a file's name or a captioner. */
  readonly source?: string;
}

/** Draws one of a picture's captions; there is always at least one. */
export type CaptionChoice = (captions: readonly Caption[], random: Random) => Caption;

/** What happens to a caption each time its picture is used. */
export interface CaptionRules {
  /** How one of several captions is drawn. @default each equally likely */
  readonly choose?: CaptionChoice;
  /** Put in place of `[trigger]`, or in front where the caption does not have the word: `sks dog, ...`. */
  readonly triggerWord?: string;
  /** Put before and after every caption, as they are. */
  readonly prefix?: string;
  readonly suffix?: string;
  /** Shuffles what stands between commas. @default false */
  readonly shuffleTags?: boolean;
  /** How many tags at the front keep their place. @default 0 */
  readonly keepTags?: number;
  /** The share of uses whose caption is "", which is how the model learns guidance. @default 0 */
  readonly dropout?: number;
}

/** The text that one use of a picture is trained with. */
export interface CaptionDraw {
  readonly text: string;
  /** Whether dropout made it the unconditional prompt (which has no CHI) and not only an empty caption. */
  readonly dropped: boolean;
  readonly source?: string;
}

/** Each caption equally likely. */
export const uniformChoice: CaptionChoice = (captions, random) => {
  const caption = captions[random.integer(captions.length)];
  if (caption === undefined) throw new RangeError('uniformChoice: there are no captions');
  return caption;
};

/** Always the first caption. */
export const firstChoice: CaptionChoice = (captions) => {
  const [caption] = captions;
  if (caption === undefined) throw new RangeError('firstChoice: there are no captions');
  return caption;
};

/** A caption as one line: no control characters, no byte order mark, single spaces. */
export function cleanCaption(text: string): string {
  return text
    .replace(/[\p{Cc}\u2028\u2029\ufeff]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
}

function shuffled(text: string, keep: number, random: Random): string {
  const tags = text
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  return [...tags.slice(0, keep), ...random.shuffle(tags.slice(keep))].join(', ');
}

const marker = '[trigger]';

/** Whether a text has a word (or words) as such, and not as part of another: `sks` is not in `masks`. */
function mentions(text: string, word: string): boolean {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  // \b knows only ASCII letters; a trigger may be of any script.
  return new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'iu').test(text);
}

/**
 * A caption with prefix, suffix and the trigger word: where one of them says `[trigger]`, or in front of the caption,
 * unless the word is there already.
 */
export function completeCaption(text: string, { triggerWord = '', prefix = '', suffix = '' }: CaptionRules): string {
  const whole = prefix + text + suffix;
  if (whole.includes(marker)) return whole.replaceAll(marker, triggerWord);
  if (triggerWord === '' || mentions(whole, triggerWord)) return whole;
  return prefix + (text === '' ? triggerWord : `${triggerWord}, ${text}`) + suffix;
}

/**
 * Draws and completes the caption of one use. Each step has its own stream of random numbers, so that turning one on or
 * off changes no other's draws.
 */
export function drawCaption(captions: readonly Caption[], rules: CaptionRules, random: Random): CaptionDraw {
  const { choose = uniformChoice, shuffleTags = false, keepTags = 0, dropout = 0 } = rules;
  const { text, source } = choose(captions, random.fork('choice'));
  const from = source === undefined ? {} : { source };
  if (random.fork('dropout').uniform() < dropout) return { text: '', dropped: true, ...from };
  const ordered = shuffleTags ? shuffled(text, keepTags, random.fork('tags')) : text;
  return { text: completeCaption(ordered, rules), dropped: false, ...from };
}
