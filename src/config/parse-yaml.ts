import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';

import { quoted } from '../io/json.ts';
import type { Path } from './schema-node.ts';

/** A place in a file; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A mistake in the YAML itself. */
export interface YamlProblem {
  readonly position: Position | undefined;
  readonly message: string;
}

/** A YAML text as plain data, with places for messages. */
export interface ParsedYaml {
  /** undefined when there are problems. */
  readonly value: unknown;
  readonly problems: readonly YamlProblem[];
  /** Where the value at a path begins, or its key; of the nearest part around it that the text has. */
  position(path: Path, part: 'key' | 'value'): Position | undefined;
}

/** A config has a few hundred lines; a file of megabytes is another file. */
const maxCharacters = 1_000_000;
/** Aliases of aliases can make gigabytes of a few lines; honest configs have a handful. */
const maxAliases = 100;
const tooDeep = 'it is nested too deeply; a config has a few levels';

const sentences: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'an alias (*name) needs an anchor (&name) before it',
  DUPLICATE_KEY: 'this key stands twice in its section; remove one of them',
  MULTIPLE_DOCS: 'a config is one document; remove the --- and what follows, or make two files',
  TAB_AS_INDENT: 'YAML indents with spaces; replace the tab',
  BAD_INDENT: 'the indentation does not fit the lines before; indent the keys of a section equally',
  MISSING_CHAR: 'a character is missing here, such as a colon after a key, or a closing quote or bracket',
  MULTILINE_IMPLICIT_KEY: 'a colon is missing after this key, or the lines before are indented wrongly',
  BLOCK_AS_IMPLICIT_KEY: 'a text with a colon and a space needs quotes: "a photo: a dog"',
  BLOCK_IN_FLOW: 'a text in brackets that begins so needs quotes',
  TAG_RESOLVE_FAILED: 'tags (!name) are not used in configs; remove it, or put the text into quotes',
  UNEXPECTED_TOKEN: 'this is not YAML here; a text with special characters needs quotes',
  BAD_SCALAR_START: 'a text that begins with this character needs quotes',
};

/** Parses one YAML 1.2 document as plain data, strictly: no duplicate keys, tags or further documents. */
export function parseYaml(text: string): ParsedYaml {
  const lineCounter = new LineCounter();
  const nowhere: ParsedYaml = { value: undefined, problems: [], position: () => undefined };
  const refused = (message: string): ParsedYaml => ({ ...nowhere, problems: [{ position: undefined, message }] });
  if (text.length > maxCharacters) {
    return refused(`it has ${text.length} characters; a config has at most ${maxCharacters}: is it another file?`);
  }
  const positionAt = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset);
    return { line, column: col };
  };
  try {
    const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true, logLevel: 'error' });
    const problems = [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
      position: positionAt(pos[0]),
      message: sentences[code] ?? `this is not YAML: ${quoted(message)}`,
    }));
    if (document.errors.some(({ message }) => message.includes('Maximum call stack'))) return refused(tooDeep);
    if (problems.length > 0) return { ...nowhere, problems };
    const value: unknown = document.toJS({ maxAliasCount: maxAliases });
    return {
      value,
      problems,
      position(path, part) {
        const offset = offsetOf(document.contents, path, part, (node) =>
          isAlias(node) ? node.resolve(document) : node,
        );
        return offset === undefined ? undefined : positionAt(offset);
      },
    };
  } catch (error) {
    if (error instanceof RangeError) return refused(tooDeep);
    if (error instanceof ReferenceError) {
      return refused('its aliases (*name) stand for too much or for themselves; write the values out');
    }
    throw error;
  }
}

function offsetOf(
  contents: Node | null,
  path: Path,
  part: 'key' | 'value',
  resolve: (node: Node | null) => Node | null | undefined,
): number | undefined {
  let node = resolve(contents);
  let offset = node?.range?.[0];
  for (const [depth, key] of path.entries()) {
    const isLast = depth === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (!pair || !isScalar(pair.key)) return offset;
      const value = pair.value as Node | null; // a parsed document holds nodes only
      const empty = value === null || value.range?.[0] === value.range?.[1];
      offset = ((isLast && part === 'key') || empty ? pair.key.range?.[0] : value?.range?.[0]) ?? offset;
      node = resolve(value);
    } else if (isSeq(node)) {
      const item = node.items[Number(key)] as Node | undefined;
      if (!item) return offset;
      offset = item.range?.[0] ?? offset;
      node = resolve(item);
    } else {
      return offset;
    }
  }
  return offset;
}
