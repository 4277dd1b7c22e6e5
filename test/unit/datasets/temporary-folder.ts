import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach } from 'vitest';

/** A folder for each test of a file, and ways to fill it. */
export interface TemporaryFolder {
  /** A path in it. */
  readonly at: (name: string) => string;
  /** Writes a text or bytes. */
  readonly write: (name: string, contents: string | Uint8Array) => Promise<void>;
  /** Writes a picture of one colour, in the format of its ending. */
  readonly plain: (name: string, width: number, height: number, colour: string) => Promise<void>;
}

/** Makes a folder before each test and removes it after. */
export function useTemporaryFolder(): TemporaryFolder {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'datasets-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });
  const at = (name: string): string => join(folder, name);
  const write = async (name: string, contents: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(at(name)), { recursive: true });
    await writeFile(at(name), contents);
  };
  return {
    at,
    write,
    async plain(name, width, height, background) {
      const format = name.endsWith('.png') ? 'png' : 'jpeg';
      await write(
        name,
        await sharp({ create: { width, height, channels: 3, background } })
          .toFormat(format)
          .toBuffer(),
      );
    },
  };
}
