import { join } from 'node:path';

import { Box } from 'ink';

import { Block } from './block.tsx';
import { heading } from './heading.ts';
import { useLook } from './look.ts';
import { Picture } from './picture.tsx';
import type { PromptView } from './run-view.ts';

/** Which picture is looked at. */
export interface Selection {
  readonly prompt: number;
  /** Position in the prompt's pictures; undefined follows the newest. */
  readonly picture: number | undefined;
}

/** Pictures of a strip, at most: fewer than are kept ready. */
const mostInStrip = 24;

/** At most `count` positions of `length`, evenly, with the first and the last. */
export function evenly(length: number, count: number): readonly number[] {
  if (length <= count) return Array.from({ length }, (_, i) => i);
  if (count < 2) return count === 1 ? [length - 1] : [];
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - 1)) / (count - 1)));
}

/**
 * The pictures of a prompt: the one that is looked at large where there is room, and a strip from step 0 to now. In low
 * boxes the strip alone, which then ends with the picture that is looked at.
 */
export function Samples({
  runDir,
  prompts,
  selection,
  width,
  height,
}: {
  readonly runDir: string;
  readonly prompts: readonly PromptView[];
  readonly selection: Selection;
  readonly width: number;
  readonly height: number;
}) {
  const { cellRatio } = useLook();
  const prompt = prompts[selection.prompt];
  const pictures = prompt?.pictures ?? [];
  const at = selection.picture ?? pictures.length - 1;
  const chosen = pictures[at];
  if (!prompt || !chosen) return null;
  const { metrics } = chosen;
  const measured = metrics ? `, CLIP-I ${metrics.clipI.toFixed(3)}, CLIP-T ${metrics.clipT.toFixed(3)}` : '';
  const about = `${selection.prompt + 1}/${prompts.length} ${JSON.stringify(prompt.prompt)}, seed ${prompt.seed}`;
  const hasLarge = height >= 22;
  const stripRows = hasLarge ? Math.max(4, Math.floor((height - 1) / 4) - 1) : Math.max(1, height - 2);
  const stripColumns = Math.round(stripRows * cellRatio);
  const largeRows = height - 1 - (stripRows + 1) - 1;
  const count = Math.max(1, Math.min(mostInStrip, Math.floor(width / (stripColumns + 1))));
  // Without a large one the last place of the strip is for the picture that is looked at.
  const strip = hasLarge ? evenly(pictures.length, count) : [...evenly(at, count - 1), at];
  return (
    <Box flexDirection="column" width={width} height={height} overflowY="hidden" flexShrink={0}>
      <Block id="samples" lines={[heading('samples', hasLarge ? about : about + measured, width)]} width={width} />
      {hasLarge && (
        <Picture
          id="large"
          path={join(runDir, chosen.path)}
          columns={Math.min(width - 1, Math.round(largeRows * cellRatio))}
          rows={largeRows}
          label={`step ${chosen.step}${selection.picture === undefined ? ' (newest)' : ''}${measured}`}
          isChosen
        />
      )}
      <Box height={stripRows + 1} overflowY="hidden">
        {strip.map((i, place) => {
          const picture = pictures[i];
          if (!picture) return null;
          return (
            <Picture
              key={i}
              id={`strip ${place}`}
              path={join(runDir, picture.path)}
              columns={stripColumns}
              rows={stripRows}
              label={`${i === at ? '>' : ''}${stripColumns < 9 ? '' : 'step '}${picture.step}`}
              isChosen={i === at}
            />
          );
        })}
      </Box>
    </Box>
  );
}
