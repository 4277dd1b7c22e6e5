import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const NAME = 'libonnxruntime_providers_cuda.so';

/** The CUDA library that onnxruntime-node's install script downloads; undefined where it has not. */
export function findCudaLibrary(): string | undefined {
  const bin = join(dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')), 'bin');
  const versions = existsSync(bin) ? readdirSync(bin) : [];
  return versions.map((version) => join(bin, version, 'linux', 'x64', NAME)).find((path) => existsSync(path));
}

/** The shared libraries that `library` needs and the system does not find, as ldd tells. */
export async function missingLibraries(library: string): Promise<readonly string[]> {
  try {
    const { stdout } = await promisify(execFile)('ldd', [library]);
    return parseMissing(stdout);
  } catch {
    return [];
  }
}

/** The names in ldd's lines such as `libcudnn.so.9 => not found`. */
export function parseMissing(ldd: string): readonly string[] {
  return [...ldd.matchAll(/^\s*(\S+) => not found/gm)].flatMap(([, name]) => (name === undefined ? [] : [name]));
}
