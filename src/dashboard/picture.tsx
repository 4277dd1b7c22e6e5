import { Box } from 'ink';

import { Block, MarkBox } from './block.tsx';
import { useLook } from './look.ts';

/** A picture of the run in a box of characters, with a line below it. */
export function Picture({
  id,
  path,
  columns,
  rows,
  label,
  isChosen,
}: {
  /** Of the line below it. */
  readonly id: string;
  readonly path: string;
  readonly columns: number;
  readonly rows: number;
  readonly label: string;
  readonly isChosen: boolean;
}) {
  const { marks } = useLook();
  return (
    <Box flexDirection="column" width={columns} height={rows + 1} flexShrink={0} marginRight={1}>
      <MarkBox mark={marks.picture(path, columns, rows)} columns={columns} rows={rows} />
      <Block id={id} lines={[[[isChosen ? 'title' : 'quiet', label]]]} width={columns} />
    </Box>
  );
}
