import { copyFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { float32 } from '../../../src/graph/tensor.ts';
import { checkClass, openCheckpoint } from '../../../src/io/checkpoint.ts';
import { writeSafetensors } from '../../../src/io/safetensors.ts';

let folder = '';
const base = 'diffusion_pytorch_model';
const put = (name: string, ...tensors: string[]) =>
  writeSafetensors(
    join(folder, name),
    tensors.map((tensor) => [tensor, float32([1], [1])]),
  );
const putJson = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  await putJson('config.json', { _class_name: 'SanaTransformer2DModel', num_layers: 2 });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('openCheckpoint', () => {
  it('opens a single file', async () => {
    await put(`${base}.safetensors`, 'a', 'b');
    const checkpoint = await openCheckpoint(folder);
    expect(checkpoint.config['num_layers']).toBe(2);
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'b']);
    expect(checkpoint.variant).toBeUndefined();
  });

  it('opens shards, and what a shard holds beyond the index', async () => {
    await put('one.safetensors', 'a', 'stray');
    await put('two.safetensors', 'b');
    await putJson(`${base}.safetensors.index.json`, { weight_map: { a: 'one.safetensors', b: 'two.safetensors' } });
    const { tensors } = await openCheckpoint(folder);
    expect([...tensors.keys()]).toEqual(['a', 'b', 'stray']);
    expect(tensors.get('b')?.path).toMatch(/two\.safetensors$/);
  });

  it('prefers an index as diffusers does, a single file as transformers does', async () => {
    await put('model.safetensors', 'whole');
    await put('one.safetensors', 'shard');
    await putJson('model.safetensors.index.json', { weight_map: { shard: 'one.safetensors' } });
    expect([...(await openCheckpoint(folder)).tensors.keys()]).toEqual(['whole']);
    await rename(join(folder, 'model.safetensors'), join(folder, `${base}.safetensors`));
    await rename(join(folder, 'model.safetensors.index.json'), join(folder, `${base}.safetensors.index.json`));
    expect([...(await openCheckpoint(folder)).tensors.keys()]).toEqual(['shard']);
  });

  it('takes the variant asked for, else the plain file, else the only one', async () => {
    await put(`${base}.fp16.safetensors`, 'half');
    expect(await openCheckpoint(folder)).toMatchObject({ variant: 'fp16' });
    await put(`${base}.safetensors`, 'plain');
    expect([...(await openCheckpoint(folder, { variant: 'fp16' })).tensors.keys()]).toEqual(['half']);
    expect([...(await openCheckpoint(folder)).tensors.keys()]).toEqual(['plain']);
    expect(await openCheckpoint(folder, { variant: 'bf16' })).toMatchObject({ variant: undefined });
    await putJson(`${base}.safetensors.index.bf16.json`, { weight_map: { plain: `${base}.safetensors` } });
    expect(await openCheckpoint(folder, { variant: 'bf16' })).toMatchObject({ variant: 'bf16' });
    await rm(join(folder, `${base}.safetensors`));
    await expect(openCheckpoint(folder)).rejects.toThrow(/holds the variants fp16, bf16; choose one/);
  });

  it.skipIf(process.platform === 'win32')('opens a Hugging Face cache, whose files are symbolic links', async () => {
    await put('blob', 'a');
    const snapshot = join(folder, 'snapshots', 'abc', 'transformer');
    await mkdir(snapshot, { recursive: true });
    await symlink(join('..', '..', '..', 'blob'), join(snapshot, `${base}.safetensors`));
    await symlink(join('..', '..', '..', 'config.json'), join(snapshot, 'config.json'));
    const location = (await openCheckpoint(snapshot)).tensors.get('a');
    expect(location?.path).toMatch(/blob$/);
    expect(location?.namedPath).toBe(join(snapshot, `${base}.safetensors`));
  });

  it('says what is missing', async () => {
    await expect(openCheckpoint(join(folder, 'no'))).rejects.toThrow(`There is no folder ${join(folder, 'no')}`);
    await expect(openCheckpoint(join(folder, 'config.json'))).rejects.toThrow(/is a file; name a model's folder/);
    await expect(openCheckpoint(folder)).rejects.toThrow(
      /holds no weights; expected diffusion_pytorch_model.safetensors or model.safetensors/,
    );
    await writeFile(join(folder, 'pytorch_model.bin'), '');
    await expect(openCheckpoint(folder)).rejects.toThrow(/pickled weights/);
    await writeFile(join(folder, 'config.json'), '{');
    await expect(openCheckpoint(folder)).rejects.toThrow(/config\.json is not JSON/);
    await rename(join(folder, 'config.json'), join(folder, 'model_index.json'));
    await expect(openCheckpoint(folder)).rejects.toThrow(/it is a whole pipeline/);
  });

  it.each([
    ['../one.safetensors'],
    ['/etc/one.safetensors'],
    ['sub\\one.safetensors'],
    ['C:one.safetensors'],
    ['one.bin'],
    ['..'],
    [3],
    [null],
  ])('refuses an index that names %j', async (shard) => {
    await put('one.safetensors', 'a');
    await copyFile(join(folder, 'one.safetensors'), join(folder, 'model.safetensors.copy'));
    await putJson(`${base}.safetensors.index.json`, { weight_map: { a: shard } });
    await expect(openCheckpoint(folder)).rejects.toThrow(
      /"a" into .* not the name of a safetensors file in its folder/,
    );
  });

  it('refuses an index whose shard is missing or does not hold the tensor', async () => {
    const index = `${base}.safetensors.index.json`;
    await putJson(index, { weight_map: { a: 'one.safetensors' } });
    await expect(openCheckpoint(folder)).rejects.toThrow(/one\.safetensors: there is no such file/);
    await put('one.safetensors', 'b');
    await expect(openCheckpoint(folder)).rejects.toThrow(/"a" into one\.safetensors, which does not hold it/);
    await putJson(index, { weight_map: {} });
    await expect(openCheckpoint(folder)).rejects.toThrow(/no weight_map/);
  });
});

describe('checkClass', () => {
  const config = { _class_name: 'PixArtTransformer2DModel', architectures: ['Gemma2ForCausalLM'] };
  const checkpoint = { config, configPath: 'm/config.json' };
  it('names the class that was found and the one expected', () => {
    expect(() => checkClass(checkpoint, '_class_name', 'SanaTransformer2DModel')).toThrow(
      'm/config.json is of "PixArtTransformer2DModel"; expected SanaTransformer2DModel; name the folder of such a model.',
    );
    expect(() => checkClass({ ...checkpoint, config: {} }, '_class_name', 'AutoencoderDC')).toThrow(
      /has no _class_name/,
    );
  });
  it('accepts one of several', () => {
    expect(() => checkClass(checkpoint, 'architectures', ['Gemma2Model', 'Gemma2ForCausalLM'])).not.toThrow();
  });
});
