import { type Piece, widthOf } from './styled-line.ts';

/** A line above a part of the dashboard: its name, what matters most of it, and a rule to its end. */
export function heading(name: string, text: string, width: number): readonly Piece[] {
  const said = text === '' ? ' ' : ` ${text} `;
  return [['title', name], said, ['quiet', '─'.repeat(Math.max(0, width - widthOf(name + said)))]];
}
