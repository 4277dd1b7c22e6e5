import { nearest } from '../config/edit-distance.ts';
import { bundledModel } from '../pipeline/model-folder.ts';

const owner = 'Efficient-Large-Model';

/**
 * The pipelines of Sana in diffusers' layout that its authors publish
 * (diffusers' documentation, api/pipelines/sana.md, 0.42): for suggestions, and nothing else depends on it.
 */
const published = [
  'Sana_600M_512px_diffusers',
  'Sana_600M_1024px_diffusers',
  'Sana_1600M_512px_diffusers',
  'Sana_1600M_512px_MultiLing_diffusers',
  'Sana_1600M_1024px_diffusers',
  'Sana_1600M_1024px_BF16_diffusers',
  'Sana_1600M_1024px_MultiLing_diffusers',
  'Sana_1600M_2Kpx_BF16_diffusers',
  'Sana_1600M_4Kpx_BF16_diffusers',
  'SANA1.5_1.6B_1024px_diffusers',
  'SANA1.5_4.8B_1024px_diffusers',
].map((name) => `${owner}/${name}`);

/** The model that a name was probably meant to be: another spelling, another owner, or the same in diffusers' layout. */
export function nearestModel(name: string): string | undefined {
  const [, last = name] = name.split('/');
  const sameName = published.find((id) => [last, `${last}_diffusers`].some((end) => id === `${owner}/${end}`));
  return sameName !== undefined && sameName !== name
    ? sameName
    : (nearest(name, [bundledModel, ...published]) ?? nearest(`${owner}/${last}`, published));
}
