import { describeType } from '../../src/config/describe-type.ts';
import type { SchemaNode } from '../../src/config/schema-node.ts';

/** What an editor shows beside an option. */
function description({ docs, ...node }: SchemaNode): string | undefined {
  if (!docs) return undefined;
  const lines = [docs.about];
  if (docs.usual !== undefined) lines.push(`Usual: ${docs.usual}.`);
  if (docs.defaultText !== undefined) lines.push(`Default: ${docs.defaultText}.`);
  else if (isShown(node.default)) lines.push(`Default: ${JSON.stringify(node.default)}.`);
  if (docs.source !== undefined) lines.push(`From: ${docs.source}.`);
  return lines.join('\n\n').replaceAll('`', '');
}

function isShown(value: unknown): boolean {
  return value !== undefined && value !== null && !(typeof value === 'object' && Object.keys(value).length === 0);
}

/**
 * A node of the config's schema as JSON Schema (draft 7) for editors: descriptions in place of our notes, and the
 * shorthands that loading a config expands.
 */
export function jsonSchema(node: SchemaNode): Readonly<Record<string, unknown>> {
  const { docs, ...rest } = node;
  const text = description(node);
  const parts = Object.entries(rest).map(([key, value]) => {
    switch (key) {
      case 'properties':
        return [
          key,
          Object.fromEntries(Object.entries(rest.properties ?? {}).map(([name, inner]) => [name, jsonSchema(inner)])),
        ];
      case 'items':
        return [
          key,
          rest.items && 'length' in rest.items ? rest.items.map(jsonSchema) : rest.items && jsonSchema(rest.items),
        ];
      case 'anyOf':
      case 'oneOf':
        return [key, rest[key]?.map(jsonSchema)];
      case 'additionalProperties':
        return [
          key,
          typeof rest.additionalProperties === 'object'
            ? jsonSchema(rest.additionalProperties)
            : rest.additionalProperties,
        ];
      default:
        return [key, value];
    }
  });
  const own = { ...(text === undefined ? {} : { description: text }), ...Object.fromEntries(parts) };
  if (docs?.shorthand === undefined) return own;
  const { description: shown, default: byDefault, ...mapping } = own;
  const names = (rest.oneOf ?? []).map(({ properties }) => properties?.[docs.shorthand ?? '']?.const);
  const short = names.length > 0 ? { enum: names } : { type: 'string', minLength: 1 };
  return {
    description: shown ?? describeType(node),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    anyOf: [short, mapping],
  };
}

/** The whole schema as the text of docs/config.schema.json. */
export function configSchemaFile(root: SchemaNode): string {
  // A section may stand without a line, as when all of them are commented out.
  const sections = Object.entries(root.properties ?? {}).map(([name, section]) => {
    const schema = jsonSchema(section);
    return [
      name,
      section.type === 'object' && !section.docs?.shorthand ? { ...schema, type: ['object', 'null'] } : schema,
    ];
  });
  return `${JSON.stringify({ ...jsonSchema(root), properties: Object.fromEntries(sections) }, null, 2)}\n`;
}
