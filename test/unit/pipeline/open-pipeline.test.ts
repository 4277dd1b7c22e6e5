import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPipeline } from '../../../src/pipeline/open-pipeline.ts';

// Written by tools/goldens/parity_cases.py.
const golden = fileURLToPath(new URL('../../parity/goldens/plain/pipeline', import.meta.url));
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-pipeline-'));
  await cp(golden, folder, { recursive: true });
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Changes fields of a JSON file of the folder. */
async function change(file: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
  const path = join(folder, file);
  const old = JSON.parse((await readFile(path, 'utf8')).replaceAll('-Infinity', '0')) as object;
  await writeFile(path, JSON.stringify({ ...old, ...fields }));
}

describe('openPipeline', () => {
  it('reads the configs, and opens weights when they are asked for', async () => {
    const pipeline = await openPipeline(folder);
    expect(pipeline.transformerConfig.num_layers).toBe(2);
    expect({ size: pipeline.defaultSize, multiple: pipeline.sizeMultiple }).toEqual({ size: 32, multiple: 4 });

    await rm(join(folder, 'vae', 'diffusion_pytorch_model.safetensors'));
    await expect(pipeline.loadVae()).rejects.toThrow('holds no weights');
    await cp(join(golden, 'vae'), join(folder, 'vae'), { recursive: true });
    const vae = await pipeline.loadVae();
    expect(await pipeline.loadVae()).toBe(vae);
    expect((await pipeline.loadTransformer()).weights.size).toBeGreaterThan(10);
    expect((await pipeline.loadPromptEncoder()).tokenizer.bosId).toBe(2);
  });

  it('refuses a folder that is missing, and one that is no pipeline', async () => {
    await expect(openPipeline(join(folder, 'none'))).rejects.toThrow(/^There is no folder .*none; check the path\.$/);
    await expect(openPipeline(join(folder, 'model_index.json'))).rejects.toThrow('is a file; name a pipeline');
    await expect(openPipeline(join(folder, 'vae'))).rejects.toThrow(
      'one part of a pipeline; name the folder around it',
    );
    await expect(openPipeline(join(folder, 'scheduler'))).rejects.toThrow('has no model_index.json');
  });

  it('refuses another class of pipeline', async () => {
    await change('model_index.json', { _class_name: 'SanaSprintPipeline' });
    await expect(openPipeline(folder)).rejects.toThrow(
      'model_index.json is of a "SanaSprintPipeline"; only SanaPipeline is supported: use such a model.',
    );
  });

  it('names all parts that are missing or of another class', async () => {
    await change('model_index.json', { vae: [null, null], text_encoder: ['transformers', 'T5EncoderModel'] });
    await rm(join(folder, 'scheduler'), { recursive: true });
    await expect(openPipeline(folder)).rejects.toThrow(
      'it has no vae; text_encoder is a "T5EncoderModel" and not a Gemma2Model or Gemma2ForCausalLM; the folder scheduler is missing.',
    );
  });

  it('looks for parts under their own names alone', async () => {
    await change('model_index.json', { transformer: ['../elsewhere', 'SanaTransformer2DModel'] });
    expect((await openPipeline(folder)).transformerConfig.num_layers).toBe(2);
  });

  it('refuses parts of different models', async () => {
    await change('vae/config.json', { latent_channels: 4 });
    await expect(openPipeline(folder)).rejects.toThrow('takes latents of 8 channels and the vae makes 4');
    await cp(golden, folder, { recursive: true });
    await change('transformer/config.json', { caption_channels: 99 });
    await expect((await openPipeline(folder)).loadPromptEncoder()).rejects.toThrow(
      'takes text of 99 channels and the text encoder makes 24',
    );
  });
});
