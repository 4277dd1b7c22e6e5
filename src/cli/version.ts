import { createRequire } from 'node:module';

// The package finds itself by its name, wherever its sources or dist/ lie.
const manifest = createRequire(import.meta.url)('sana-train/package.json') as { readonly version: string };

/** The version of sana-train. */
export const { version } = manifest;
