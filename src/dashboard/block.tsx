import { Box, Text } from 'ink';

import { useLook } from './look.ts';
import { type Piece, styledLine } from './styled-line.ts';

/** A box of so many columns by rows, with a mark in the first column of each row: what it stands for fills the box. */
export function MarkBox({
  mark,
  columns,
  rows,
}: {
  readonly mark: string;
  readonly columns: number;
  readonly rows: number;
}) {
  return (
    <Box flexDirection="column" width={columns} height={rows} flexShrink={0} overflowY="hidden">
      {Array.from({ length: Math.max(0, rows) }, (_, i) => (
        <Text key={i} wrap="truncate">
          {mark}
        </Text>
      ))}
    </Box>
  );
}

/** Lines of text: all of the dashboard that changes goes through here (see Marks). */
export function Block({
  id,
  lines,
  width,
  height = lines.length,
}: {
  /** What it is; no two on a screen are the same. */
  readonly id: string;
  /** Pieces, or a line that is as wide as the block already. */
  readonly lines: readonly (readonly Piece[] | string)[];
  readonly width: number;
  readonly height?: number;
}) {
  const { colors, marks } = useLook();
  const columns = Math.max(0, Math.floor(width));
  const styled = Array.from({ length: Math.max(0, height) }, (_, i) => {
    const line = lines[i] ?? [];
    return typeof line === 'string' ? line : styledLine(line, columns, colors);
  });
  return <MarkBox mark={marks.text(id, styled, columns)} columns={columns} rows={styled.length} />;
}
