import { readFile } from 'node:fs/promises';

import { format } from 'oxfmt';

import { configNode } from '../../src/config/schema-node.ts';
import { configMarkdown } from './config-markdown.ts';
import { configSchemaFile } from './config-schema.ts';

/** The generated documents by their paths in the repository, as `npm run format` leaves them. */
export async function generatedDocs(): Promise<ReadonlyMap<string, string>> {
  const settings: unknown = JSON.parse(await readFile(new URL('../../.oxfmtrc.json', import.meta.url), 'utf8'));
  const printWidth =
    typeof settings === 'object' &&
    settings !== null &&
    'printWidth' in settings &&
    typeof settings.printWidth === 'number'
      ? settings.printWidth
      : 80;
  const schema = await format('docs/config.schema.json', configSchemaFile(configNode()), { printWidth });
  return new Map([
    // Not formatted: padding the tables would change every line with one option.
    ['docs/config.md', configMarkdown(configNode())],
    ['docs/config.schema.json', schema.code],
  ]);
}
