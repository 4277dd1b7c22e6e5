import { cleanCaption } from '../../datasets/caption-text.ts';

/** What is done with what a model said. */
export interface PolishOptions {
  /** Takes "The image shows" and the like, and repetitions, out. @default true */
  readonly removeBoilerplate?: boolean;
  /** Texts to take out, whatever their case. */
  readonly remove?: readonly string[];
  /** Cut after the last whole sentence, or else word, within so many words. */
  readonly maxWords?: number | null;
}

/** A caption, or why there is none: a sentence's end that begins with a verb. */
export type Polished = { readonly text: string } | { readonly problem: string };

const picture = '(?:image|picture|photo(?:graph)?|illustration|drawing|scene|figure|artwork)';
const verbs =
  '(?:shows|depicts|features|captures|displays|presents|portrays|illustrates|contains|showcases|is (?:a |an )?(?:' +
  `${picture} )?of|is showing|is depicting)`;
/** Beginnings of a caption that say nothing about the picture. */
const openings = [
  /^(?:sure|certainly|of course|absolutely)\b[^.!:\n]*[.!:]\s*/i,
  /^(?:here(?:'s| is| are)|below is)\b[^.:\n]*:\s*/i,
  /^(?:caption|description|prompt|answer|output)\s*:\s*/i,
  new RegExp(`^(?:the|this|that|an?)\\s+(?:\\w+\\s+)?${picture}\\s+${verbs}\\s+`, 'i'),
  new RegExp(`^this is\\s+(?:an?|the)\\s+(?:\\w+\\s+)?${picture}\\s+(?:of|showing|depicting)\\s+`, 'i'),
  new RegExp(`^(?:in|on) (?:the|this) ${picture},?\\s+(?:(?:we|you|one) can see|we see|there (?:is|are))\\s+`, 'i'),
  new RegExp(`^in (?:the|this) ${picture},\\s+`, 'i'),
  /^(?:we|you|i) (?:can )?see\s+/i,
];
/** Sentences that sum up and add nothing. */
const closings = [/(?<=[.!?]\s)(?:overall|in summary|in conclusion),[^.!?]*[.!?]?\s*$/i];

/** A text without quotes around all of it. */
function unquoted(text: string): string {
  return text.replace(/^["“'](.*)["”']$/su, '$1').trim();
}

/** A caption without openings and closings that say nothing; its first letter is as large as it was. */
function withoutBoilerplate(text: string): string {
  let rest = text;
  for (let before = ''; before !== rest;) {
    before = rest;
    for (const opening of openings) rest = rest.replace(opening, '');
    rest = unquoted(rest);
  }
  for (const closing of closings) rest = rest.replace(closing, '').trim();
  if (rest === text || rest === '' || !/^\p{Lu}/u.test(text)) return rest;
  return rest.replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());
}

function sentencesOf(text: string): readonly string[] {
  return text.match(/[^.!?。！？]+(?:[.!?。！？]+(?=\s|$|[^\d\s])|[.!?。！？]\d*|$)\s*/gu) ?? [text];
}

/** A caption in which no sentence comes twice, and no run of up to 12 words comes three times or more in a row. */
function withoutRepetition(text: string): string {
  const seen = new Set<string>();
  const sentences = sentencesOf(text).filter((sentence) => {
    const key = sentence.trim().toLowerCase();
    if (key.length > 3 && seen.has(key)) return false;
    seen.add(key);
    return true;
  });
  const words = sentences.join('').trim().split(/\s+/);
  for (let length = 1; length <= 12; length++) {
    for (let at = 0; at + 3 * length <= words.length;) {
      const key = (from: number): string =>
        words
          .slice(from, from + length)
          .join(' ')
          .toLowerCase()
          .replace(/[.,;]/g, '');
      let count = 1;
      while (at + (count + 1) * length <= words.length && key(at + count * length) === key(at)) count++;
      if (count >= 3) words.splice(at + length, (count - 1) * length);
      else at++;
    }
  }
  return words.join(' ');
}

function cut(text: string, maxWords: number): string {
  const words = text.split(/\s+/);
  if (words.length <= maxWords) return text;
  const kept = words.slice(0, maxWords).join(' ');
  const whole = /^.*[.!?。！？](?=\s|$)/u.exec(kept)?.[0];
  return whole ?? kept.replace(/[\s,;:]+$/u, '');
}

const count = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length;

/**
 * Makes a caption of what a model said: one line, without thoughts, quotes, boiler-plate, repetitions and what is not
 * wanted, of limited length. What is no caption at all is refused. Only English boiler-plate is known; other languages
 * stay as they are.
 */
export function polishCaption(said: string, options: PolishOptions = {}): Polished {
  const { removeBoilerplate = true, remove = [], maxWords = null } = options;
  const answer = said.replace(/^\s*<think>[\s\S]*?<\/think>/i, '');
  if (/<\/?(?:!doctype|html|head|body|script|style|div|span|table|iframe|svg|p|br|h[1-6])\b[^>]*>/i.test(answer)) {
    return { problem: 'returned HTML' };
  }
  // Line breaks and tabs become spaces; any other of them is a sign that this is no text.
  if (/[^\P{Cc}\t\n\r\v\f]|\ufffd/u.test(answer)) return { problem: 'returned control characters' };
  let text = unquoted(cleanCaption(answer).replace(/\*\*|^#+\s*/g, ''));
  if (text === '') return { problem: 'returned nothing' };
  const single = withoutRepetition(text);
  const repeats = count(text) >= 12 && count(single) < count(text) / 2;
  if (repeats) return { problem: `repeats itself (${JSON.stringify(single.slice(0, 60))} ...)` };
  if (removeBoilerplate) text = withoutBoilerplate(single);
  for (const unwanted of remove) {
    text = text.replace(new RegExp(unwanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'giu'), '');
  }
  text = cleanCaption(text).replace(/ +([,.;:!?])/g, '$1');
  if (maxWords !== null) text = cut(text, maxWords);
  return text === '' ? { problem: 'returned nothing but boiler-plate' } : { text };
}
