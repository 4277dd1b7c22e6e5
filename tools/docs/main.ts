// Writes docs/config.md and docs/config.schema.json from src/config: `npm run docs`.
import { fileURLToPath } from 'node:url';

import { writeText } from '../../src/io/atomic-write.ts';
import { generatedDocs } from './generated-docs.ts';

for (const [path, text] of await generatedDocs()) {
  await writeText(fileURLToPath(new URL(`../../${path}`, import.meta.url)), text);
}
