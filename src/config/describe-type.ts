import { alternatives, type SchemaNode } from './schema-node.ts';

function range({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: SchemaNode): string {
  const low =
    minimum !== undefined ? ` from ${minimum}` : exclusiveMinimum !== undefined ? ` above ${exclusiveMinimum}` : '';
  if (maximum !== undefined) return `${low}${minimum === undefined ? ' up' : ''} to ${maximum}`;
  return exclusiveMaximum !== undefined ? `${low}${low && ' and'} below ${exclusiveMaximum}` : low;
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function describeArray({ items, minItems }: SchemaNode): string {
  const article = minItems === undefined ? 'a list' : 'a list, not empty,';
  if (items && 'length' in items) return `a list of ${items.length} numbers`;
  return items ? `${article} of which each is ${describeType(items)}` : article;
}

function describeOne(node: SchemaNode): string {
  if (node.const !== undefined) return String(node.const);
  if (node.enum) return list(node.enum);
  switch (node.type) {
    case 'integer':
      if (node.multipleOf !== undefined) return `a multiple of ${node.multipleOf}${range(node)}`;
      return `a whole number${range(node)}`;
    case 'number':
      return `a number${range(node)}`;
    case 'boolean':
      return 'true or false';
    case 'null':
      return 'null';
    case 'array':
      return describeArray(node);
    case 'object': {
      const short = node.properties?.[node.docs?.shorthand ?? ''];
      if (short) return describeType(short);
      if (typeof node.additionalProperties === 'object')
        return `a mapping whose values are each ${describeType(node.additionalProperties)}`;
      return `a mapping with keys such as ${Object.keys(node.properties ?? {})
        .slice(0, 3)
        .join(', ')}`;
    }
    default:
      return 'a text';
  }
}

/** What a value must be, in words: "a whole number from 1", "auto or a number above 0". */
export function describeType(node: SchemaNode): string {
  const inWords = node.docs?.expects;
  const kinds = inWords === undefined ? alternatives(node) : [];
  // Words first, null last: "auto, 3 or null".
  const words = inWords === undefined ? kinds.filter(({ type }) => type !== 'null').map(describeOne) : [inWords];
  const nullable = alternatives(node).some(({ type }) => type === 'null');
  if (inWords !== undefined) return nullable && !inWords.includes('null') ? `${inWords}, or null` : inWords;
  return list([...words, ...(nullable ? ['null'] : [])]);
}
