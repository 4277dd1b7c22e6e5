import type { CompleteRequest } from './picture-request.ts';

/** What a picture was made with, as its file says it. Names of files and folders stand without their paths. */
export interface PictureSource extends Omit<CompleteRequest, 'latents'> {
  readonly model: string;
  readonly adapters: readonly { readonly name: string; readonly scale: number }[];
  readonly solver: string;
  /** @default the model's own */
  readonly flowShift?: number;
  /** The instruction's name; null for none. */
  readonly chi: string | null;
  readonly maxSequenceLength: number;
  /** Of sana-train. */
  readonly version: string;
}

/**
 * The texts for the PNG file: `parameters` in the form that AUTOMATIC1111's web UI began and image browsers read (the
 * prompt, then `Negative prompt:`, then `Name: value` pairs), and `sana-train` with everything as JSON.
 */
export function settingsTexts(source: PictureSource): Readonly<Record<string, string>> {
  const { prompt, negativePrompt, steps, solver, guidanceScale, seed, width, height, model, version } = source;
  const pairs: Readonly<Record<string, string | number | undefined>> = {
    Steps: steps,
    Sampler: solver,
    'CFG scale': guidanceScale,
    'Guidance interval': source.guidanceInterval?.join(' to '),
    Seed: seed,
    Size: `${width}x${height}`,
    Model: model,
    Adapters: source.adapters.map(({ name, scale }) => `${name}:${scale}`).join(', ') || undefined,
    'Flow shift': source.flowShift,
    CHI: source.chi ?? 'none',
    Version: `sana-train ${version}`,
  };
  const settings = Object.entries(pairs).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${quotedValue(value)}`],
  );
  const lines = [prompt, ...(negativePrompt === '' ? [] : [`Negative prompt: ${negativePrompt}`]), settings.join(', ')];
  return { parameters: lines.join('\n'), 'sana-train': JSON.stringify(source) };
}

/** Values with a comma, colon or line break are written as JSON, as the web UI does. */
function quotedValue(value: string | number): string {
  const text = String(value);
  return /[,:\n]/.test(text) ? JSON.stringify(text) : text;
}
