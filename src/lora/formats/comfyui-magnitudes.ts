import { z } from 'zod';

import { UserError } from '../../errors.ts';
import { quoted } from '../../io/json.ts';

/** Of a safetensors file for ComfyUI: the magnitudes of its DoRA, which its `dora_scale` is not. */
export const magnitudesKey = 'sana_train.dora_magnitudes';

const schema = z.record(z.string(), z.string());

/** Magnitudes by the names of layers in the file, as text for its header. */
export function packMagnitudes(magnitudes: ReadonlyMap<string, Float32Array>): string {
  const packed = [...magnitudes].map(([name, values]) => {
    const bytes = new Uint8Array(4 * values.length);
    const view = new DataView(bytes.buffer);
    for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
    return [name, Buffer.from(bytes).toString('base64')] as const;
  });
  return JSON.stringify(Object.fromEntries(packed));
}

/**
 * What {@link packMagnitudes} made.
 * @throws UserError when it is no such text, or one of the magnitudes is not finite
 */
export function unpackMagnitudes(path: string, text: string): ReadonlyMap<string, Float32Array> {
  let packed: z.output<typeof schema>;
  try {
    packed = schema.parse(JSON.parse(text));
  } catch (error) {
    throw new UserError(`${path}: ${magnitudesKey} in its header cannot be read; export the adapter again.`, {
      cause: error,
    });
  }
  return new Map(
    Object.entries(packed).map(([name, base64]) => {
      const bytes = Buffer.from(base64, 'base64');
      const values = Float32Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readFloatLE(4 * i));
      if (!values.every(Number.isFinite)) {
        throw new UserError(
          `${path}: ${magnitudesKey} in its header has magnitudes of ${quoted(name)} that are no numbers.`,
        );
      }
      return [name, values];
    }),
  );
}
