import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../../src/engine/onnxruntime.ts';
import { UserError } from '../../../../src/errors.ts';
import { exportAdapter } from '../../../../src/export/export-adapter.ts';
import { float32, type Tensor } from '../../../../src/graph/tensor.ts';
import { writeSafetensors } from '../../../../src/io/safetensors.ts';
import type { AdapterConfig } from '../../../../src/lora/adapter-config.ts';
import { createAdapter } from '../../../../src/lora/create-adapter.ts';
import { readAnyAdapter } from '../../../../src/lora/formats/read-any-adapter.ts';
import { sanaModules } from '../../../../src/models/sana-transformer-config.ts';
import { createRandom, type Random } from '../../../../src/random.ts';
import { asTrained, smallAdapter, smallTransformer } from '../../../small-transformer.ts';

// A soak of many more: SANA_FUZZ=10000 npx vitest run test/unit/lora/formats/hostile-files.test.ts
const mutations = Number(process.env['SANA_FUZZ'] ?? 3000);
/** Milliseconds that reading a file of some kilobytes may take on a slow machine. */
const mostTime = 10_000;

let folder: string;
const originals: Buffer[] = [];
let known: ReturnType<typeof sanaModules>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-hostile-'));
  const model = await smallTransformer('plain');
  known = sanaModules(model.config);
  const make = async (change: Partial<AdapterConfig>): Promise<Parameters<typeof exportAdapter>[0]> => {
    const modules = smallAdapter(model, change);
    const start = await createAdapter(modules, model.weights, createRandom(1));
    return { modules, tensors: asTrained(start, createRandom(2)) };
  };
  const path = join(folder, 'original.safetensors');
  const few = { targetModules: ['attn1.to_q', 'attn2.to_v', 'conv_point'], rank: 2, alpha: 3 };
  const engine = createOnnxruntimeEngine();
  for (const change of [few, { ...few, type: 'dora' as const }]) {
    for (const format of ['diffusers', 'comfyui', 'kohya'] as const) {
      const targets = format === 'comfyui' ? ['to_q', 'to_k', 'to_v'] : few.targetModules;
      const adapter = await make({ ...change, targetModules: targets });
      const base = format === 'comfyui' && 'type' in change ? { base: { folder, model, engine } } : {};
      await exportAdapter(adapter, { format, output: path, about: { title: 'test' }, ...base });
      originals.push(await readFile(path));
    }
  }
  await engine.close();
  for (const type of ['lokr', 'loha'] as const) {
    await exportAdapter(await make({ ...few, type, rank: 1 }), {
      format: 'lycoris',
      output: path,
      about: { title: 'test' },
    });
    originals.push(await readFile(path));
  }
  const draw = (...shape: number[]): Tensor =>
    float32(shape, createRandom(shape.join()).normals(shape.reduce((a, b) => a * b, 1)));
  const base = 'lycoris_transformer_blocks_0_attn1_to_';
  await writeSafetensors(path, [
    [`${base}q.lokr_w1`, draw(4, 4)],
    [`${base}q.lokr_w2_a`, draw(8, 2)],
    [`${base}q.lokr_w2_b`, draw(2, 8)],
    [`${base}q.alpha`, float32([], [2])],
    [`${base}k.hada_w1_a`, draw(32, 2)],
    [`${base}k.hada_w1_b`, draw(2, 32)],
    [`${base}k.hada_w2_a`, draw(32, 2)],
    [`${base}k.hada_w2_b`, draw(2, 32)],
  ]);
  originals.push(await readFile(path));
}, 60_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** One of many things that happen to a file, or that somebody does to it. */
function mutate(original: Buffer, random: Random): Buffer {
  const header = Number(original.readBigUInt64LE(0));
  const bytes = Buffer.from(original);
  const kind = random.integer(6);
  if (kind === 0) return bytes.subarray(0, random.integer(bytes.length));
  if (kind === 1) {
    for (let i = 0; i <= random.integer(4); i++) bytes[random.integer(bytes.length)] = random.integer(256);
    return bytes;
  }
  if (kind === 2) {
    // Within the header alone, where almost all of what is read is decided.
    for (let i = 0; i <= random.integer(3); i++) bytes[8 + random.integer(header)] = 32 + random.integer(95);
    return bytes;
  }
  // Words of the header for others of them: sizes, offsets, names, dtypes, metadata.
  const text = bytes.subarray(8, 8 + header).toString();
  const words = [...text.matchAll(kind === 3 ? /\d+/g : kind === 4 ? /[A-Za-z_]+/g : /"[^"]*"/g)];
  const [from, to] = [words[random.integer(words.length)], words[random.integer(words.length)]];
  const numbers = ['0', '-1', '1e9', '4294967296', '999999', '1.5', 'null', '""'];
  const word =
    kind === 3 && random.integer(2) === 0 ? (numbers[random.integer(numbers.length)] ?? '0') : (to?.[0] ?? '');
  const at = from?.index ?? 0;
  const changed = Buffer.from(text.slice(0, at) + word + text.slice(at + (from?.[0].length ?? 0)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(changed.length));
  return Buffer.concat([length, changed, bytes.subarray(8 + header)]);
}

describe('readAnyAdapter', () => {
  it(
    `reads or refuses each of ${mutations} mutated files with a sentence, and none takes long`,
    { timeout: 0 },
    async () => {
      const path = join(folder, 'mutated.safetensors');
      const random = createRandom('mutations');
      let [refused, slowest] = [0, 0];
      for (let i = 0; i < mutations; i++) {
        const original = originals[i % originals.length] ?? Buffer.alloc(0);
        await writeFile(path, mutate(original, random));
        const start = performance.now();
        try {
          const { tensors, modules } = await readAnyAdapter(path, i % 2 === 0 ? known : undefined);
          // What is read is whole: finite numbers for every layer, at a scale that is one.
          for (const value of tensors.values()) expect(value.data.every(Number.isFinite), `mutation ${i}`).toBe(true);
          for (const { scale, rank } of modules.values()) {
            expect(Number.isFinite(scale) && rank > 0, `mutation ${i}`).toBe(true);
          }
        } catch (error) {
          refused++;
          if (!(error instanceof UserError))
            throw new Error(`mutation ${i} of file ${i % originals.length}`, { cause: error });
          expect(error.message, `mutation ${i}`).toMatch(/\.$/);
          expect(error.message.length, `mutation ${i}`).toBeLessThan(4000);
        }
        slowest = Math.max(slowest, performance.now() - start);
      }
      expect(slowest).toBeLessThan(mostTime);
      // The mutations are neither all harmless nor all obvious.
      expect(refused).toBeGreaterThan(mutations / 2);
      expect(refused).toBeLessThan(mutations);
    },
  );
});
