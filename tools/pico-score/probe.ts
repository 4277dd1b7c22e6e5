import { join } from 'node:path';

import { z } from 'zod';

import { UserError } from '../../src/errors.ts';
import { readJsonObject } from '../../src/io/json.ts';
import { floats, openNetwork } from './network.ts';
import { type Pixels, toPlanes } from './pixels.ts';
import { type Head, heads, type Scene, vocabulary } from './world.ts';

/** The network of models/probe-pico, which says what a picture shows. */
export interface Probe {
  readonly read: (picture: Pixels) => Promise<Scene>;
  readonly close: () => Promise<void>;
}

const schema = z.object({ input: z.string(), heads: z.record(z.enum(heads), z.array(z.string())) });

/** Opens a probe's folder. @throws UserError when it is missing, or of another world than vocabulary.json */
export async function openProbe(folder: string): Promise<Probe> {
  const path = join(folder, 'probe.json');
  const { success, data: description } = schema.safeParse(await readJsonObject(path));
  if (!success) throw new UserError(`${path} does not name the probe's heads; build it with tools/pico/build.py.`);
  const other = heads.find((head) => description.heads[head].join() !== vocabulary.heads[head].join());
  if (other !== undefined) {
    throw new UserError(
      `${path} knows other classes of ${other} than tools/pico-score/vocabulary.json; run export_vocabulary.py.`,
    );
  }
  const network = await openNetwork(join(folder, 'probe.onnx'));
  return {
    async read(picture) {
      const { height, width } = picture;
      const logits = await network.run({ [description.input]: floats([1, 3, height, width], toPlanes(picture)) });
      const read = (head: Head): string => vocabulary.heads[head][indexOfLargest(logits.get(head) ?? [])] ?? '';
      return {
        animal: read('animal'),
        coat: read('coat'),
        pattern: read('pattern'),
        accessory: read('accessory'),
        cloth: read('cloth'),
        emblem: read('emblem'),
        pose: read('pose'),
        background: read('background'),
      };
    },
    close: network.close,
  };
}

/** Where the largest number stands, the first of equal ones. */
export function indexOfLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}
