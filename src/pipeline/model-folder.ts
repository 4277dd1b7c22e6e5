import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The model that comes with this package. */
export const bundledModel = 'sana-pico';

/** The folder of a model that a user names: the bundled one by its name, else a path. */
export function modelFolder(name: string): string {
  if (name !== bundledModel) return name;
  // The package finds itself by its name, wherever its sources or dist/ lie.
  const manifest = createRequire(import.meta.url).resolve('sana-train/package.json');
  return join(dirname(manifest), 'models', bundledModel);
}
