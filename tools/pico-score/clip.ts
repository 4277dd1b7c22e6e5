import { join } from 'node:path';

import { loadTokenizer } from '../../src/text/tokenizer.ts';
import { cosine } from '../../src/metrics/cosine.ts';
import { floats, integers, openNetwork } from './network.ts';
import { type Pixels, toPlanes } from './pixels.ts';

/** The networks of models/clip-pico, which say how well a text describes a picture. */
export interface Clip {
  /** The cosine of the two embeddings, -1 to 1. */
  readonly similarity: (picture: Pixels, text: string) => Promise<number>;
  readonly close: () => Promise<void>;
}

/** The side of the pictures that clip-pico sees, in pixels. */
const side = 128;

/** Opens a folder of clip-pico. @throws UserError when a file is missing */
export async function openClip(folder: string): Promise<Clip> {
  const tokenizer = await loadTokenizer(folder);
  const vision = await openNetwork(join(folder, 'onnx', 'vision_model.onnx'));
  const text = await openNetwork(join(folder, 'onnx', 'text_model.onnx'));
  return {
    async similarity(picture, words) {
      const ids = tokenizer.encode(words);
      const { text_embeds: said } = Object.fromEntries(await text.run({ input_ids: integers([1, ids.length], ids) }));
      // Means of squares, since clip-pico was trained on pictures that were drawn at this size and not scaled down.
      const pixels = floats([1, 3, side, side], toPlanes(picture, picture.width / side));
      const { image_embeds: seen } = Object.fromEntries(await vision.run({ pixel_values: pixels }));
      return cosine(said ?? new Float32Array(), seen ?? new Float32Array());
    },
    async close() {
      await vision.close();
      await text.close();
    },
  };
}
