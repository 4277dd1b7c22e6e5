import { type Caption, type CaptionChoice, firstChoice, uniformChoice } from '../../datasets/caption-text.ts';

/** How one of a picture's captions is drawn. */
export interface ChoiceOptions {
  readonly selection: 'clip_score_power' | 'softmax' | 'best' | 'uniform' | 'first';
  /** `clip_score_power`: captions below it are not drawn unless all are. 100 x cosine. */
  readonly clipThr: number;
  /** Above 0; smaller prefers the best one more. */
  readonly temperature: number;
}

function normalised(weights: readonly number[]): readonly number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** The weight of each score; at least one is above 0, for the best one has weight 1 in each of them. */
function weightsOf(scores: readonly number[], { selection, clipThr, temperature }: ChoiceOptions): readonly number[] {
  const best = Math.max(...scores);
  const isBest = (_: number, index: number): boolean => index === scores.indexOf(best);
  switch (selection) {
    case 'uniform':
      return scores.map(() => 1);
    case 'first':
      return scores.map((_, index) => (index === 0 ? 1 : 0));
    case 'best':
      return scores.map((score, index) => (isBest(score, index) ? 1 : 0));
    case 'softmax':
      return scores.map((score) => Math.exp((score - best) / temperature));
    case 'clip_score_power': {
      if (best < clipThr || best <= 0) return scores.map((score, index) => (isBest(score, index) ? 1 : 0));
      // Relative to the best one, whose power alone may be larger than a number can be.
      const power = 1 / Math.max(temperature, 0.01);
      return scores.map((score) => (score >= clipThr && score > 0 ? (score / best) ** power : 0));
    }
  }
}

/**
 * How likely each caption is to be drawn. `clip_score_power` is NVlabs' code (diffusion/data/datasets/sana_data.py): of
 * scores from the threshold on, or else of the best one alone, score^(1 / max(temperature, 0.01)); `softmax` is section
 * 3.3 of the paper (arXiv 2410.10629): exp(score / temperature). Captions without a score are drawn by neither of these
 * or `best` where others have one; where none has, each is equally likely.
 */
export function captionProbabilities(captions: readonly Caption[], options: ChoiceOptions): readonly number[] {
  if (captions.length === 0) return [];
  const { selection } = options;
  if (selection === 'first' || selection === 'uniform')
    return normalised(
      weightsOf(
        captions.map(() => 0),
        options,
      ),
    );
  const rated = captions.flatMap(({ score }) => (score === undefined ? [] : [score]));
  if (rated.length === 0) return normalised(captions.map(() => 1));
  const probabilities = [...normalised(weightsOf(rated, options))];
  return captions.map(({ score }) => (score === undefined ? 0 : (probabilities.shift() ?? 0)));
}

/** The choice among a picture's captions that `caption.selection` asks for; it is drawn for every use of a picture. */
export function createCaptionChoice(options: ChoiceOptions): CaptionChoice {
  return (captions, random) => {
    if (options.selection === 'first') return firstChoice(captions, random);
    const probabilities = captionProbabilities(captions, options);
    if (new Set(probabilities).size <= 1) return uniformChoice(captions, random);
    const draw = random.uniform();
    let below = 0;
    for (const [index, caption] of captions.entries()) {
      below += probabilities[index] ?? 0;
      if (draw < below) return caption;
    }
    // Rounding may leave the sum just below 1.
    return firstChoice(captions.filter((_, index) => (probabilities[index] ?? 0) > 0).slice(-1), random);
  };
}
