import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PictureFacts } from '../src/images/inspect-picture.ts';
import { thumbnailSide } from '../src/images/inspect-picture.ts';
import { pictureFormats } from '../src/images/open-picture.ts';
import { errorCode, fileError } from '../src/io/file-error.ts';
import { isRecord } from '../src/io/json.ts';

/** What is known of pictures by the SHA-256 of their files, so that a data set is decoded for checking only once. */
export interface PictureIndex {
  get(contentHash: string): PictureFacts | undefined;
  add(contentHash: string, facts: PictureFacts): Promise<void>;
}

// Raised when inspectPicture finds other facts in the same bytes.
const version = 1;

function parseLine(line: string): readonly [string, PictureFacts] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || value.version !== version) return undefined;
  const { hash, format: name, height, width, orientation, pages, hasAlpha, transparent, colours, thumbnail } = value;
  const format = pictureFormats.find((known) => known === name);
  const numbers = [height, width, orientation, pages];
  if (typeof hash !== 'string' || format === undefined || typeof colours !== 'string') return undefined;
  if (typeof height !== 'number' || typeof width !== 'number' || !numbers.every(Number.isSafeInteger)) return undefined;
  if (typeof orientation !== 'number' || typeof pages !== 'number' || typeof thumbnail !== 'string') return undefined;
  const bytes = new Uint8Array(Buffer.from(thumbnail, 'base64'));
  if (bytes.length !== thumbnailSide ** 2) return undefined;
  const flags = { hasAlpha: hasAlpha === true, transparent: transparent === true };
  return [hash, { format, height, width, orientation, pages, ...flags, colours, thumbnail: bytes }];
}

/** An index that lasts as long as the process. */
export function memoryPictureIndex(): PictureIndex {
  const known = new Map<string, PictureFacts>();
  return {
    get: (hash) => known.get(hash),
    add: async (hash, facts) => {
      known.set(hash, facts);
    },
  };
}

/**
 * An index in a file, a JSON object a line, to which several processes may add at once. Lines that are damaged or of
 * another version are ignored: what they said is found out again.
 * @throws UserError when the file can be neither read nor made
 */
export async function openPictureIndex(path: string): Promise<PictureIndex> {
  let text = '';
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw fileError(error, 'read', path);
    await mkdir(dirname(path), { recursive: true }).catch((reason: unknown) => {
      throw fileError(reason, 'write', path);
    });
  }
  const known = new Map(
    text.split('\n').flatMap((line) => {
      const entry = line === '' ? undefined : parseLine(line);
      return entry === undefined ? [] : [entry];
    }),
  );
  return {
    get: (hash) => known.get(hash),
    add: async (hash, facts) => {
      known.set(hash, facts);
      const { thumbnail, ...rest } = facts;
      const record = { version, hash, ...rest, thumbnail: Buffer.from(thumbnail).toString('base64') };
      // The newline comes first too, so that a line cut short by a crash spoils no other.
      await appendFile(path, `\n${JSON.stringify(record)}\n`).catch((error: unknown) => {
        throw fileError(error, 'write', path);
      });
    },
  };
}
