import { bucketsFor, nearestBucket } from '../../../datasets/buckets.ts';
import type { DatasetUse, Example } from '../../../datasets/example.ts';

/** What a made-up example has that is not as usual. */
export interface MadeUp {
  readonly height?: number;
  readonly width?: number;
  readonly resolutions?: readonly number[];
  readonly captions?: readonly string[];
  readonly use?: Partial<DatasetUse>;
}

/** An example without a file, whose captions say its name. */
export function madeUpExample(
  name: string,
  { height = 512, width = 512, resolutions = [512], captions = [`caption of ${name}`], use = {} }: MadeUp = {},
): Example {
  const dataset: DatasetUse = {
    name: 'd',
    kind: 'instance',
    repeats: 1,
    weight: 1,
    crop: 'center',
    flip: false,
    background: [255, 255, 255],
    captions: {},
    ...use,
  };
  return {
    id: `${dataset.name}/${name}`,
    dataset,
    picture: {
      path: `/d/${name}`,
      name,
      contentHash: `hash of ${name}`,
      format: 'png',
      height,
      width,
      hasAlpha: false,
    },
    captions: captions.map((text) => ({ text })),
    buckets: resolutions.map((resolution) => nearestBucket(bucketsFor(resolution), { height, width })),
  };
}
