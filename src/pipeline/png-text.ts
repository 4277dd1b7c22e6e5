import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Signature and IHDR, after which texts may stand. */
const headerLength = signature.length + 4 + 4 + 13 + 4;

/**
 * A PNG file with texts about the picture, which sharp reads (`comments`) and does not write.
 * As a tEXt chunk, which every program knows, where the text is ASCII, else as an iTXt chunk in UTF-8 (PNG specification,
 * 11.3.3): sharp takes tEXt for UTF-8, though it is Latin-1. They follow the header, before the picture itself.
 * @param texts by keyword: 1 to 79 printable ASCII characters
 */
export function withPngTexts(png: Uint8Array, texts: Readonly<Record<string, string>>): Uint8Array {
  if (!signature.equals(png.subarray(0, signature.length))) throw new RangeError('withPngTexts: a PNG file expected');
  const chunks = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return Buffer.concat([png.subarray(0, headerLength), ...chunks, png.subarray(headerLength)]);
}

function textChunk(keyword: string, text: string): Buffer {
  if (!/^[!-~]([ -~]{0,77}[!-~])?$/.test(keyword))
    throw new RangeError(`withPngTexts: the keyword ${JSON.stringify(keyword)}`);
  // A zero ends a text.
  const content = text.replaceAll('\0', '');
  const isAscii = !/[^\t\n\r -~]/.test(content);
  // iTXt: not compressed (two zeros), no language, no translated keyword.
  return isAscii
    ? chunk('tEXt', Buffer.from(`${keyword}\0`, 'latin1'), Buffer.from(content, 'ascii'))
    : chunk('iTXt', Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(content, 'utf8'));
}

function chunk(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(body.length - 4, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
