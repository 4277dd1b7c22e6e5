import { describe, expect, it } from 'vitest';
import { settingsTexts } from '../../../src/pipeline/settings-text.ts';

const source = {
  prompt: 'a dog\nin the snow',
  negativePrompt: 'blurry',
  seed: 7,
  width: 512,
  height: 768,
  steps: 20,
  guidanceScale: 4.5,
  model: 'Sana, 600M',
  adapters: [
    { name: 'dog.safetensors', scale: 0.8 },
    { name: 'ink', scale: 1 },
  ],
  solver: 'flow_dpm_solver',
  chi: null,
  maxSequenceLength: 300,
  version: '0.1.0',
};

describe('settingsTexts', () => {
  it("writes the web UI's form: prompt, negative prompt, pairs", () => {
    expect(settingsTexts(source)['parameters']).toBe(`a dog
in the snow
Negative prompt: blurry
Steps: 20, Sampler: flow_dpm_solver, CFG scale: 4.5, Seed: 7, Size: 512x768, Model: "Sana, 600M", Adapters: "dog.safetensors:0.8, ink:1", CHI: none, Version: sana-train 0.1.0`);
  });

  it('leaves out what is not there', () => {
    const { parameters } = settingsTexts({ ...source, negativePrompt: '', adapters: [] });
    expect(parameters).not.toMatch(/Negative|Adapters|Flow shift|undefined/);
  });

  it('holds everything as JSON too', () => {
    expect(JSON.parse(settingsTexts(source)['sana-train'] ?? '')).toEqual(source);
  });
});
