/** How many colours a terminal shows: none, 256, or all. */
export type ColorDepth = 'none' | '256' | 'full';

/** Dark to light. */
const shades = ' .:-=+*#%@';

/** The nearest colour of the 6 x 6 x 6 cube of 256-colour terminals, whose levels are 0, 95, 135, 175, 215, 255. */
function cubeIndex(r: number, g: number, b: number): number {
  const level = (value: number): number => (value < 48 ? 0 : value < 115 ? 1 : Math.round((value - 55) / 40));
  return 16 + 36 * level(r) + 6 * level(g) + level(b);
}

/**
 * Pixels as rows of text. With colours every character shows two pixels, one above the other, as a half block; without,
 * one character a pair by its lightness.
 * @param pixels RGB, row by row, [2 * rows, columns, 3]
 */
export function pictureRows(pixels: Uint8Array, columns: number, depth: ColorDepth): readonly string[] {
  const at = (row: number, column: number): readonly [number, number, number] => {
    const i = (row * columns + column) * 3;
    return [pixels[i] ?? 0, pixels[i + 1] ?? 0, pixels[i + 2] ?? 0];
  };
  const code = (ground: 38 | 48, [r, g, b]: readonly [number, number, number]): string =>
    depth === 'full' ? `${ground};2;${r};${g};${b}` : `${ground};5;${cubeIndex(r, g, b)}`;
  return Array.from({ length: pixels.length / (columns * 6) }, (_, row) => {
    let text = '';
    let current = '';
    for (let column = 0; column < columns; column++) {
      const [upper, lower] = [at(2 * row, column), at(2 * row + 1, column)];
      if (depth === 'none') {
        const light = [...upper, ...lower].reduce((sum, value) => sum + value, 0) / (6 * 256);
        text += shades[Math.floor(light * shades.length)] ?? ' ';
        continue;
      }
      const codes = `${code(38, upper)};${code(48, lower)}`;
      text += codes === current ? '▀' : `\u001b[${codes}m▀`;
      current = codes;
    }
    return depth === 'none' ? text : `${text}\u001b[0m`;
  });
}
