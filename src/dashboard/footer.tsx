import { Box, Text } from 'ink';
import stringWidth from 'string-width';

import { useTone } from './look.ts';
import { type PromptLine, visibleLine } from './prompt-line.ts';

/** A key and what it does, in a word. */
interface Hint {
  readonly key: string;
  readonly word: string;
  /** Those with less go first where there is no room. */
  readonly worth: number;
}

/** The keys that may be pressed now. */
function hintsOf(isOver: boolean, isOwn: boolean): readonly Hint[] {
  const all: readonly (Hint & { readonly acts?: true; readonly only?: 'own' | 'other' })[] = [
    { key: 's', word: 'sample', worth: 5, acts: true },
    { key: 'c', word: 'checkpoint', worth: 4, acts: true },
    { key: 'p', word: 'pause', worth: 6, acts: true },
    { key: 't', word: 'prompt', worth: 7, acts: true },
    { key: 'arrows', word: 'pictures', worth: 3 },
    { key: 'l', word: 'log', worth: 2 },
    { key: '?', word: 'help', worth: 9 },
    { key: 'x', word: 'stop', worth: 1, acts: true, only: 'other' },
    { key: 'q', word: isOwn && !isOver ? 'stop' : 'leave', worth: 8 },
  ];
  return all.filter(({ acts, only }) => !(acts && isOver) && only !== (isOwn ? 'other' : 'own'));
}

const [between, afterKey] = ['  ', ' '];

/** The hints that fit a width, in their order. */
export function fittingHints(hints: readonly Hint[], width: number): readonly Hint[] {
  const needed = hints.reduce((sum, { key, word }) => sum + stringWidth(key + afterKey + word + between), -2);
  if (needed <= width || hints.length <= 1) return hints;
  const least = hints.reduce((a, b) => (b.worth < a.worth ? b : a));
  return fittingHints(
    hints.filter((hint) => hint !== least),
    width,
  );
}

/** The last line: the prompt that is typed, a question or an answer, or else the keys. */
export function Footer({
  line,
  notice,
  isOver,
  isOwn,
  width,
}: {
  readonly line: PromptLine | undefined;
  readonly notice: string | undefined;
  readonly isOver: boolean;
  readonly isOwn: boolean;
  readonly width: number;
}) {
  const tone = useTone();
  if (line) {
    const [label, end] = ['prompt ', width >= 60 ? '  Enter samples, Esc leaves it' : ''];
    const { before, under, after } = visibleLine(line, width - label.length - end.length);
    return (
      <Box justifyContent="space-between">
        <Text wrap="truncate">
          <Text {...tone('title')}>{label}</Text>
          {before}
          <Text inverse>{under}</Text>
          {after}
        </Text>
        <Text {...tone('quiet')}>{end}</Text>
      </Box>
    );
  }
  if (notice !== undefined)
    return (
      <Text wrap="truncate" {...tone('warning')}>
        {notice}
      </Text>
    );
  return (
    <Text wrap="truncate">
      {fittingHints(hintsOf(isOver, isOwn), width).map(({ key, word }, i) => (
        <Text key={key}>
          {i > 0 && between}
          <Text {...tone('key')}>{key}</Text>
          <Text {...tone('quiet')}>{afterKey + word}</Text>
        </Text>
      ))}
    </Text>
  );
}
