import { describe, expect, it } from 'vitest';

import { pictureRows } from '../../../src/dashboard/picture-rows.ts';

// Two columns, four rows: red over green, and black over white.
const red = [255, 0, 0];
const green = [0, 255, 0];
const black = [0, 0, 0];
const white = [255, 255, 255];
const pixels = Uint8Array.from([red, red, green, green, black, black, white, white].flat());

describe('pictureRows', () => {
  it('shows two pixels a character, and says a colour once', () => {
    expect(pictureRows(pixels, 2, 'full')).toEqual([
      '\u001b[38;2;255;0;0;48;2;0;255;0m▀▀\u001b[0m',
      '\u001b[38;2;0;0;0;48;2;255;255;255m▀▀\u001b[0m',
    ]);
    expect(pictureRows(pixels, 2, '256')).toEqual([
      '\u001b[38;5;196;48;5;46m▀▀\u001b[0m',
      '\u001b[38;5;16;48;5;231m▀▀\u001b[0m',
    ]);
  });

  it('shows lightness without colours', () => {
    expect(pictureRows(Uint8Array.from([black, white, black, white].flat()), 2, 'none')).toEqual([' @']);
  });
});
