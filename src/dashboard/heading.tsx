import { Text } from 'ink';
import stringWidth from 'string-width';

import { useTone } from './look.ts';

/** A line above a part of the dashboard: its name, what matters most of it, and a rule to its end. */
export function Heading({
  name,
  text = '',
  width,
}: {
  readonly name: string;
  readonly text?: string;
  readonly width: number;
}) {
  const tone = useTone();
  const said = text === '' ? '' : ` ${text}`;
  const rule = width - stringWidth(`${name}${said} `);
  return (
    <Text wrap="truncate">
      <Text {...tone('title')}>{name}</Text>
      {said} <Text {...tone('quiet')}>{'─'.repeat(Math.max(0, rule))}</Text>
    </Text>
  );
}
