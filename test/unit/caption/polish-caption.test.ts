import { describe, expect, it } from 'vitest';

import { polishCaption } from '../../../src/caption/polish-caption.ts';

const text = (said: string, options = {}) => {
  const polished = polishCaption(said, options);
  return 'text' in polished ? polished.text : `! ${polished.problem}`;
};

describe('polishCaption', () => {
  it.each([
    ['The image shows a teal dog in a studio.', 'A teal dog in a studio.'],
    ['the image shows a teal dog.', 'a teal dog.'],
    ['This is a black and white photo of a fox.', 'This is a black and white photo of a fox.'],
    ['This is a photo of a fox.', 'A fox.'],
    ['In this image, we can see a red car.', 'A red car.'],
    ["Sure! Here's a description of the image: A fox.", 'A fox.'],
    ['Caption: "A fox in the snow"', 'A fox in the snow'],
    ['"A fox in the snow"', 'A fox in the snow'],
    ['**A fox** in the snow. Overall, the mood is calm.', 'A fox in the snow.'],
    ['<think>what is it</think>\n\nA fox.', 'A fox.'],
    ['A fox\nin\tthe   snow', 'A fox in the snow'],
    ['Ein Bild zeigt einen Fuchs.', 'Ein Bild zeigt einen Fuchs.'],
    ['画像には犬が写っています。', '画像には犬が写っています。'],
    ['A sign with "image shows" on it', 'A sign with "image shows" on it'],
  ])('makes of %j %j', (said, expected) => expect(text(said)).toBe(expected));

  it('keeps boiler-plate where that is asked', () => {
    expect(text('The image shows a dog.', { removeBoilerplate: false })).toBe('The image shows a dog.');
  });

  it('takes repetitions out', () => {
    expect(text('A dog. A dog. It runs.')).toBe('A dog. It runs.');
    expect(text('a dog and a very very very big ball in the tall green grass')).toBe(
      'a dog and a very big ball in the tall green grass',
    );
  });

  it.each([
    ['', 'returned nothing'],
    ['  \n', 'returned nothing'],
    ['<html><body>502 Bad Gateway</body></html>', 'returned HTML'],
    ['A dog<br>in a studio', 'returned HTML'],
    ['a\u0000dog', 'returned control characters'],
    ['\u001b[31mred', 'returned control characters'],
  ])('refuses %j, which %s', (said, problem) => expect(text(said)).toBe(`! ${problem}`));

  it('refuses what goes round in circles', () => {
    expect(text('a dog in the sun '.repeat(20))).toMatch(/^! repeats itself/);
    expect(text('the the the the the the the the the the the the the the')).toMatch(/^! repeats itself/);
  });

  it('takes unwanted texts out, whatever their case', () => {
    expect(text('A dog, Stock Photo, in the sun.', { remove: ['stock photo, '] })).toBe('A dog, in the sun.');
  });

  it('cuts after the last whole sentence, or else word', () => {
    expect(text('A dog runs. It is fast and it likes the sun.', { maxWords: 6 })).toBe('A dog runs.');
    expect(text('a dog, a cat, a fox, a bear', { maxWords: 4 })).toBe('a dog, a cat');
  });
});
