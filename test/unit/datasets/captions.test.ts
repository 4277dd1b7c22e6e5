import { describe, expect, it } from 'vitest';
import { parseCaptionTable, tableKey } from '../../../datasets/caption-table.ts';
import { cleanCaption, drawCaption, completeCaption } from '../../../datasets/caption-text.ts';
import type { CaptionChoice } from '../../../datasets/caption-text.ts';
import { captionOfFileName } from '../../../datasets/find-captions.ts';
import { createRandom } from '../../../src/random.ts';

const captions = [{ text: 'one' }, { text: 'two' }, { text: 'three' }];
const draws = (count: number, rules: Parameters<typeof drawCaption>[1], from = captions): string[] =>
  Array.from({ length: count }, (_, i) => drawCaption(from, rules, createRandom(i)).text);

describe('drawCaption', () => {
  it('draws each of several captions', () => {
    const drawn = draws(600, {});
    for (const { text } of captions) expect(drawn.filter((one) => one === text).length).toBeGreaterThan(150);
  });

  it('drops a share to the unconditional prompt, without changing the other draws', () => {
    const plain = draws(1000, {});
    const dropped = draws(1000, { dropout: 0.1, triggerWord: 'sks' });
    const empty = dropped.filter((text) => text === '').length;
    expect(empty).toBeGreaterThan(60);
    expect(empty).toBeLessThan(140);
    dropped.forEach((text, i) => expect(['', `sks, ${plain[i]}`]).toContain(text));
    expect(drawCaption(captions, { dropout: 1 }, createRandom(0))).toEqual({ text: '', dropped: true });
    expect(draws(50, { dropout: 0 })).not.toContain('');
  });

  it('shuffles tags but for the first ones', () => {
    const tags = [{ text: 'sks dog, sitting,  red ,cape,' }];
    const seen = new Set(draws(200, { shuffleTags: true, keepTags: 1 }, tags));
    expect(seen.size).toBe(6);
    for (const text of seen) {
      const [first, ...rest] = text.split(', ');
      expect(first).toBe('sks dog');
      expect(rest.sort()).toEqual(['cape', 'red', 'sitting']);
    }
  });

  it('puts prefix and suffix around', () => {
    expect(drawCaption([{ text: 'a dog' }], { prefix: 'photo: ', suffix: '.' }, createRandom(0)).text).toBe(
      'photo: a dog.',
    );
  });

  it('uses the choice it is given', () => {
    const last: CaptionChoice = (list) => list.at(-1) ?? { text: '' };
    expect(new Set(draws(20, { choose: last }))).toEqual(new Set(['three']));
  });
});

describe('completeCaption', () => {
  it('replaces the marker, adds the word in front, and adds it only once', () => {
    const withTrigger = (text: string, triggerWord: string): string => completeCaption(text, { triggerWord });
    expect(withTrigger('a [trigger] by [trigger]', 'sks')).toBe('a sks by sks');
    expect(withTrigger('a dog', 'sks dog')).toBe('sks dog, a dog');
    expect(withTrigger('a photo of SKS Dog, sitting', 'sks dog')).toBe('a photo of SKS Dog, sitting');
    expect(withTrigger('masks', 'sks')).toBe('sks, masks');
    expect(withTrigger('', 'sks')).toBe('sks');
    expect(withTrigger('a c++ b', 'c++')).toBe('a c++ b');
    expect(withTrigger('собака', 'соб')).toBe('соб, собака');
  });

  it('keeps prefix and suffix outside, and finds the word in them', () => {
    const rules = { triggerWord: 'sks', suffix: '.' };
    expect(completeCaption('a dog', { ...rules, prefix: 'photo: ' })).toBe('photo: sks, a dog.');
    expect(completeCaption('a dog', { ...rules, prefix: 'a photo of [trigger], ' })).toBe('a photo of sks, a dog.');
    expect(completeCaption('a dog', { ...rules, prefix: 'sks: ' })).toBe('sks: a dog.');
  });
});

describe('cleanCaption', () => {
  it('makes one line without control characters', () => {
    expect(cleanCaption('\ufeffa\tdog\u0000\r\n  runs \u0085')).toBe('a dog runs');
  });
});

describe('captionOfFileName', () => {
  it('takes underscores for spaces and leaves out the counter', () => {
    expect(captionOfFileName('dogs/a_dog-on_a beach (2).png')).toBe('a dog-on a beach');
    expect(captionOfFileName('a dog_0012.jpeg')).toBe('a dog');
    expect(captionOfFileName('0012.jpeg')).toBe('');
  });
});

describe('parseCaptionTable', () => {
  it('reads jsonl: several rows, lists of texts, scores, and bad rows by number', () => {
    const { captions, problems } = parseCaptionTable(
      'metadata.jsonl',
      '\ufeff{"file_name": "a.png", "text": "one"}\r\n\n{"file_name": "./a.png", "text": ["two", "three"]}\n' +
        'oops\n[1]\n{"file_name": "b\\\\c.png", "text": "x", "score": "27.1", "captioner": "blip"}\n{"file_name": "d.png"}',
    );
    expect(captions.get('a.png')?.map(({ text }) => text)).toEqual(['one', 'two', 'three']);
    expect(captions.get('b/c.png')).toEqual([{ text: 'x', score: 27.1, source: 'blip' }]);
    expect(problems).toEqual([
      'metadata.jsonl, line 4, is not JSON; it was left out.',
      'metadata.jsonl, line 5, is no JSON object; it was left out.',
      'metadata.jsonl, line 7, lacks a text; it was left out.',
    ]);
  });

  it('reads this program’s captions.jsonl by its picture column', () => {
    const { captions } = parseCaptionTable(
      'captions.jsonl',
      '{"picture": "a.png", "hash": "0", "text": "t", "score": 30}',
    );
    expect(captions.get('a.png')).toEqual([{ text: 't', score: 30, source: 'captions.jsonl' }]);
  });

  it('reads csv with quotes, commas, line ends and a byte order mark, and tsv', () => {
    const csv = '\ufefffile_name, text\r\na.png,"a dog, ""sks"",\nsitting"\r\na.png,second\r\nb.png\r\n';
    const { captions, problems } = parseCaptionTable('x.csv', csv);
    expect(captions.get('a.png')?.map(({ text }) => text)).toEqual(['a dog, "sks", sitting', 'second']);
    expect(problems).toEqual(['x.csv, line 5, lacks a text; it was left out.']);
    const tsv = parseCaptionTable('x.tsv', 'file_name\ttext\na.png\ta, b\n');
    expect(tsv.captions.get('a.png')?.[0]?.text).toBe('a, b');
  });

  it('names the columns it lacks', () => {
    expect(() => parseCaptionTable('x.csv', 'image,caption\na.png,b\n')).toThrow(
      'x.csv needs the columns file_name and text; it has "image", "caption".',
    );
    expect(() => parseCaptionTable('x.csv', 'file_name,text\na.png,"b\n')).toThrow(
      'x.csv is no table that can be read',
    );
    expect(() => parseCaptionTable('x.xlsx', '')).toThrow('use .jsonl, .csv or .tsv');
  });
});

describe('tableKey', () => {
  it('is the same for composed and decomposed letters', () => {
    expect(tableKey('./u\u0308.png')).toBe(tableKey('\u00fc.png'));
  });
});
