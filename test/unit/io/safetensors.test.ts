import { mkdtemp, mkdir, open, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../../../src/errors.ts';
import { float32, tensor } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import {
  isTensorLocation,
  openSafetensors,
  readPieces,
  readRows,
  readTensor,
  writeSafetensors,
} from '../../../src/io/safetensors.ts';
import type { TensorLocation } from '../../../src/io/safetensors.ts';
import { createRandom } from '../../../src/random.ts';

// Made by tools/goldens/all_dtypes.py with the safetensors library.
const golden = join(import.meta.dirname, 'goldens/dtypes.safetensors');

let folder = '';
let file = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
  file = join(folder, 'x.safetensors');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function located(tensors: ReadonlyMap<string, TensorLocation>, name: string): TensorLocation {
  const location = tensors.get(name);
  if (location === undefined) throw new Error(`no tensor ${name}`);
  return location;
}

/** Reads every tensor; returns where the last one ends. */
async function openAndReadAll(path: string): Promise<number> {
  let end = 0;
  for (const location of (await openSafetensors(path)).tensors.values()) {
    const { data } = await readTensor(location);
    if (data.byteLength !== location.byteLength) throw new Error('a tensor of another size');
    end = Math.max(end, location.offset + location.byteLength);
  }
  return end;
}

/** A file of the given header (a text or any bytes) and as many zero bytes of data as asked. */
function fileBytes(header: string | Uint8Array, dataBytes: number, length?: bigint): Uint8Array {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

async function refusal(bytes: Uint8Array): Promise<string> {
  await writeFile(file, bytes);
  const error: unknown = await openSafetensors(file).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UserError);
  const message = error instanceof UserError ? error.message : '';
  expect(message).toContain(file);
  expect(message).toMatch(/\.$/);
  return message;
}

describe('openSafetensors', () => {
  it('reads every dtype as the safetensors library wrote it', async () => {
    const { metadata, tensors } = await openSafetensors(golden);
    expect(metadata).toEqual({ format: 'pt' });
    const read = new Map<string, Tensor>();
    for (const [name, location] of tensors) read.set(name, await readTensor(location));
    const data = [1, 0, 3, 4, 5, 100];
    expect(read.get('f64')).toEqual(tensor('float64', [2, 3], Float64Array.from(data)));
    expect(read.get('f32')).toEqual(tensor('float32', [2, 3], Float32Array.from(data)));
    expect(read.get('f16')).toEqual(
      tensor('float16', [2, 3], Uint16Array.of(0x3c00, 0, 0x4200, 0x4400, 0x4500, 0x5640)),
    );
    expect(read.get('bf16')).toEqual(
      tensor('bfloat16', [2, 3], Uint16Array.of(0x3f80, 0, 0x4040, 0x4080, 0x40a0, 0x42c8)),
    );
    expect(read.get('i64')).toEqual(tensor('int64', [2, 3], BigInt64Array.of(1n, 0n, 3n, 4n, 5n, 100n)));
    expect(read.get('i32')).toEqual(tensor('int32', [2, 3], Int32Array.from(data)));
    expect(read.get('i8')).toEqual(tensor('int8', [2, 3], Int8Array.from(data)));
    expect(read.get('u8')).toEqual(tensor('uint8', [2, 3], Uint8Array.from(data)));
    expect(read.get('bool')).toEqual(tensor('bool', [2, 3], Uint8Array.of(1, 0, 1, 1, 1, 1)));
    expect(read.get('b.scalar')).toEqual(float32([], [-2.5]));
    expect(read.get('a.empty')).toEqual(float32([0, 4], []));
    expect(read.get('ü ▁ 🙂')).toEqual(float32([1], [1.5]));
  });

  it.skipIf(process.platform === 'win32')('resolves a symbolic link and keeps its name for messages', async () => {
    await mkdir(join(folder, 'blobs'));
    await writeFile(join(folder, 'blobs/0abc'), await readFile(golden));
    await symlink(join('blobs', '0abc'), file);
    const location = located((await openSafetensors(file)).tensors, 'f32');
    expect(location.path).toMatch(/0abc$/);
    expect(location.namedPath).toBe(file);
    expect(isTensorLocation(location)).toBe(true);
  });

  it('names a missing file, a folder, and a git-lfs pointer', async () => {
    await expect(openSafetensors(file)).rejects.toThrow(
      `Could not read ${file}: there is no such file; check the path.`,
    );
    await expect(openSafetensors(folder)).rejects.toThrow(/it is a folder/);
    expect(await refusal(Buffer.from('version https://git-lfs.github.com/spec/v1\n'))).toContain('git lfs pull');
  });

  const entry = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}';
  it.each([
    ['an empty file', new Uint8Array(0), 'it has 0 bytes'],
    ['a length beyond the file', fileBytes('{}', 0, 99n), 'would take 99 bytes'],
    ['a length of 2^64 - 1', fileBytes('{}', 0, 2n ** 64n - 1n), 'would take 18446744073709551615 bytes'],
    ['a header that is no UTF-8', fileBytes(Uint8Array.of(0x7b, 0xff, 0x7d), 0), 'not UTF-8'],
    ['a header that is no JSON', fileBytes('{"a":', 0), 'not JSON'],
    ['a header that is a list', fileBytes('[]', 0), 'not a JSON object'],
    ['a byte order mark', fileBytes('\ufeff{}', 0), 'not JSON'],
    ['a tensor that is no object', fileBytes('{"a":3}', 0), '"a" is not described by an object'],
    ['an unknown dtype', fileBytes('{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}', 2), '"F8_E4M3"'],
    [
      'an inherited dtype',
      fileBytes('{"a":{"dtype":"constructor","shape":[2],"data_offsets":[0,2]}}', 2),
      '"constructor"',
    ],
    ['a negative size', fileBytes('{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', 8), 'whole numbers'],
    ['a fractional size', fileBytes('{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}', 8), 'whole numbers'],
    [
      'an unsafe size',
      fileBytes('{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]}}', 8),
      'whole numbers',
    ],
    [
      'an overflowing shape',
      fileBytes('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}', 0),
      'takes',
    ],
    ['a size as a text', fileBytes('{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}', 8), 'whole numbers'],
    ['no offsets', fileBytes('{"a":{"dtype":"F32","shape":[2]}}', 8), 'data_offsets'],
    ['three offsets', fileBytes('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}', 8), 'data_offsets'],
    ['offsets backwards', fileBytes('{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}', 8), 'before they begin'],
    [
      'a byte count that is not the shape times the dtype',
      fileBytes('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', 8),
      'takes 12 bytes, but its data_offsets hold 8',
    ],
    ['a tensor beyond the end', fileBytes(`{"a":${entry}}`, 4), 'ends at byte 8 of the data, but the file holds 4'],
    ['data that no tensor uses', fileBytes(`{"a":${entry}}`, 12), '12 follow the header'],
    [
      'a hole',
      fileBytes(`{"a":${entry},"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}`, 10),
      'no tensor uses bytes 8 to 9',
    ],
    [
      'an overlap',
      fileBytes(`{"a":${entry},"b":{"dtype":"U8","shape":[2],"data_offsets":[7,9]}}`, 9),
      '"a" and "b" overlap at byte 7',
    ],
    ['a name twice', fileBytes(`{"a":${entry},"a":${entry}}`, 8), '"a" twice'],
    ['a name twice in other letters', fileBytes(`{"a":${entry},"\\u0061" :${entry}}`, 8), '"a" twice'],
    ['a tensor named __proto__', fileBytes(`{"__proto__":${entry}}`, 8), '__proto__'],
    ['metadata named __proto__', fileBytes('{"__metadata__":{"__proto__":"x"}}', 0), '__proto__'],
    ['metadata that is no text', fileBytes('{"__metadata__":{"format":1}}', 0), 'not a text'],
    ['metadata that is a list', fileBytes('{"__metadata__":[]}', 0), 'not an object'],
    ['a name with terminal codes', fileBytes('{"\\u001b[2J\u009b2J":3}', 0), '"\\u001b[2J?2J"'],
  ])('refuses %s', async (_, bytes, part) => {
    expect(await refusal(bytes)).toContain(part);
  });

  it('refuses a header of more than 100 MB without reading it', async () => {
    const handle = await open(file, 'w');
    await handle.write(fileBytes('', 0, 100_000_001n));
    await handle.truncate(100_000_020); // sparse: takes no space
    await handle.close();
    await expect(openSafetensors(file)).rejects.toThrow(/100000001 bytes; 100000000 is the most/);
  });

  it('takes a name of megabytes and deep nesting without running out of stack', async () => {
    const name = 'x\\"'.repeat(1_000_000);
    expect(await refusal(fileBytes(`{"${name}":3}`, 0))).toMatch(/is not described by an object/);
    expect(await refusal(fileBytes(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 0))).toMatch(
      /is not described|not JSON/,
    );
  });

  it('survives mutated files: a sentence or a load that adds up', async () => {
    const random = createRandom(7);
    const original = await readFile(golden);
    const headerEnd = 8 + Number(original.readBigUInt64LE(0));
    const wrong: string[] = [];
    let loads = 0;
    for (let round = 0; round < 1500; round++) {
      let bytes = Buffer.from(original);
      for (let edits = 1 + random.integer(3); edits > 0; edits--) {
        const at = random.integer(random.integer(4) === 0 ? 8 : headerEnd);
        const kind = random.integer(4);
        if (kind === 0) bytes[at] = random.integer(256);
        else if (kind === 1) bytes[at] = '0123456789-.[]{}",:eE'.charCodeAt(random.integer(21));
        else if (kind === 2) bytes = bytes.subarray(0, random.integer(bytes.length + 1));
        else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.integer(headerEnd))]);
      }
      await writeFile(file, bytes);
      const outcome = await openAndReadAll(file).catch((error: unknown) => error);
      if (typeof outcome === 'number') loads++;
      const right =
        typeof outcome === 'number'
          ? outcome === 0 || outcome === bytes.length
          : outcome instanceof UserError && outcome.message.includes(file);
      if (!right) wrong.push(`${String(outcome)}: ${bytes.toString('latin1')}`);
    }
    expect(wrong).toEqual([]);
    expect(loads).toBeGreaterThan(5); // some edits change a name, or data, and leave a right file
  }, 30_000);
});

describe('readTensor', () => {
  it('says that a file became shorter after it was opened', async () => {
    await writeSafetensors(file, [['a', float32([4], [1, 2, 3, 4])]]);
    const { tensors } = await openSafetensors(file);
    await truncate(file, 70);
    await expect(readTensor(located(tensors, 'a'))).rejects.toThrow(/became shorter/);
  });
});

describe('readRows', () => {
  it('reads the rows asked for, in that order, with repeats', async () => {
    await writeSafetensors(file, [['e', float32([4, 2], [0, 1, 10, 11, 20, 21, 30, 31])]]);
    const e = located((await openSafetensors(file)).tensors, 'e');
    expect(await readRows(e, [3, 1, 2, 1])).toEqual(float32([4, 2], [30, 31, 10, 11, 20, 21, 10, 11]));
    expect(await readRows(e, [])).toEqual(float32([0, 2], []));
    await expect(readRows(e, [4])).rejects.toThrow('row 4 of 4 rows');
    await expect(readRows(e, [-1])).rejects.toThrow('row -1');
  });
});

describe('readPieces', () => {
  it('hands out the bytes of a tensor in order', async () => {
    await writeSafetensors(file, [['a', tensor('uint8', [5], Uint8Array.of(1, 2, 3, 4, 5))]]);
    const pieces: [number, number[]][] = [];
    await readPieces(located((await openSafetensors(file)).tensors, 'a'), 2, (piece, start) =>
      pieces.push([start, [...piece]]),
    );
    expect(pieces).toEqual([
      [0, [1, 2]],
      [2, [3, 4]],
      [4, [5]],
    ]);
  });
});

describe('writeSafetensors', () => {
  it("writes the library's bytes, whatever the order of the tensors", async () => {
    const { metadata, tensors } = await openSafetensors(golden);
    await writeSafetensors(file, [...tensors].toReversed(), { metadata });
    expect(await readFile(file)).toEqual(await readFile(golden));
  });

  it('aligns the data to 8 bytes and keeps metadata that needs escapes', async () => {
    const metadata = { a: '"quoted"\n', z: '▁🙂' };
    await writeSafetensors(file, new Map([['x', float32([1], [1])]]), { metadata });
    const read = await openSafetensors(file);
    expect(read.metadata).toEqual(metadata);
    expect(located(read.tensors, 'x').offset % 8).toBe(0);
  });

  it('makes lazy tensors one at a time and leaves the old file when one fails', async () => {
    await writeSafetensors(file, [['old', float32([1], [1])]]);
    const before = await readFile(file);
    const failing = {
      dtype: 'float32',
      shape: [1],
      read: () => Promise.reject(new Error('no such weight')),
    } as const;
    await expect(
      writeSafetensors(file, [
        ['a', float32([1], [2])],
        ['b', failing],
      ]),
    ).rejects.toThrow('no such weight');
    expect(await readFile(file)).toEqual(before);
    expect(await readdir(folder)).toEqual(['x.safetensors']);
    const other = { ...failing, read: () => Promise.resolve(float32([1], [3])) };
    await writeSafetensors(file, [['b', other]]);
    expect(await readTensor(located((await openSafetensors(file)).tensors, 'b'))).toEqual(float32([1], [3]));
  });

  it('refuses a name that stands twice or that readers refuse', async () => {
    const one = float32([1], [1]);
    await expect(
      writeSafetensors(file, [
        ['a', one],
        ['a', one],
      ]),
    ).rejects.toThrow('"a"');
    await expect(writeSafetensors(file, [['__metadata__', one]])).rejects.toThrow('"__metadata__"');
    expect(await readdir(folder)).toEqual([]);
  });
});
