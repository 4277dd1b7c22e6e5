import { Box, Text } from 'ink';
import { useContext, useEffect, useState } from 'react';

import { LookContext } from './look.ts';

/** A picture of the run in a box of characters, with a line below it. */
export function Picture({
  path,
  columns,
  rows,
  label,
}: {
  readonly path: string;
  readonly columns: number;
  readonly rows: number;
  readonly label: string;
}) {
  const { loadPicture } = useContext(LookContext);
  const [lines, setLines] = useState<readonly string[]>([]);
  useEffect(() => {
    let isCurrent = true;
    async function load(): Promise<void> {
      const loaded = await loadPicture(path, columns, rows);
      if (isCurrent) setLines(loaded ?? ['(no picture)']);
    }
    void load();
    return () => {
      isCurrent = false;
    };
  }, [loadPicture, path, columns, rows]);
  return (
    <Box flexDirection="column" width={columns} height={rows + 1} flexShrink={0} marginRight={1}>
      <Box flexDirection="column" height={rows} overflowY="hidden">
        {lines.map((line, i) => (
          <Text key={i} wrap="truncate">
            {line}
          </Text>
        ))}
      </Box>
      <Text wrap="truncate">{label}</Text>
    </Box>
  );
}
