import { Box, Text } from 'ink';
import { useContext } from 'react';

import { LookContext, useTone } from './look.ts';

/** A picture of the run in a box of characters, with a line below it. */
export function Picture({
  path,
  columns,
  rows,
  label,
  isChosen = false,
}: {
  readonly path: string;
  readonly columns: number;
  readonly rows: number;
  readonly label: string;
  readonly isChosen?: boolean;
}) {
  const { markPicture } = useContext(LookContext);
  const tone = useTone();
  const line = markPicture(path, columns, rows).repeat(columns);
  return (
    <Box flexDirection="column" width={columns} height={rows + 1} flexShrink={0} marginRight={1}>
      <Box flexDirection="column" height={rows} overflowY="hidden">
        {Array.from({ length: rows }, (_, i) => (
          <Text key={i} wrap="truncate">
            {line}
          </Text>
        ))}
      </Box>
      <Text wrap="truncate" {...tone(isChosen ? 'title' : 'quiet')}>
        {label}
      </Text>
    </Box>
  );
}
