import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import { fromFloat32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { isTensorLocation, readTensor, writeSafetensors } from '../io/safetensors.ts';
import { type Adapter, writeAdapter } from '../lora/adapter-file.ts';
import { readAnyAdapter } from '../lora/formats/read-any-adapter.ts';
import { rowNorms } from '../lora/module-delta.ts';
import { asLora, hasLycoris, resizeAdapter } from '../lora/resize-adapter.ts';
import { scaleAdapter } from '../lora/scale-adapter.ts';
import type { SanaTransformer } from '../models/load-sana-transformer.ts';
import { sanaModules } from '../models/sana-transformer-config.ts';
import {
  balanced,
  type BaseWeight,
  comfyuiDifference,
  comfyuiTensors,
  type FileTensors,
  foldAlpha,
  kohyaTensors,
} from './adapter-formats.ts';
import { compareAdapters } from './compare-adapters.ts';
import { compareForward } from './compare-forward.ts';
import { differs } from './differs.ts';
import { exportMerged } from './export-merged.ts';
import type { AdapterFormat, ExportFormat } from './format-names.ts';
import type { StorageDType } from './merged-weights.ts';
import { type AdapterAbout, modelSpec } from './model-spec.ts';
import { replacing } from './replacing.ts';

/** The model that an adapter is for, where it is at hand. */
export interface ExportBase {
  /** The pipeline's folder. */
  readonly folder: string;
  readonly model: SanaTransformer;
  /** Computes the forward passes of the check. */
  readonly engine: Engine;
}

/** How an adapter is written. */
export interface ExportOptions {
  readonly format: ExportFormat;
  /** The file to write; the folder for a merged model in diffusers' layout. */
  readonly output: string;
  /** @default 'float32'; of a merged model, what the model's files have */
  readonly dtype?: StorageDType;
  /** Multiplies the adapter's effect. @default 1 */
  readonly scale?: number;
  /** Resizes the adapter to this rank. */
  readonly rank?: number;
  /** `diffusers`: the scale goes into the weights, for versions before 0.34. @default false */
  readonly foldAlpha?: boolean;
  /** `merged`: a pipeline's folder, or one file of NVlabs' names. @default 'diffusers' */
  readonly layout?: 'diffusers' | 'native';
  readonly about: AdapterAbout;
  /** Whether a merged model's folder may take the place of one that is there. @default false */
  readonly replace?: boolean;
  /** Needed to merge, and for a DoRA for ComfyUI; always used for the check. */
  readonly base?: ExportBase;
}

/** What was written, and how far it is from the adapter. */
export interface ExportResult {
  readonly path: string;
  /** The largest relative difference of what the adapter adds to a weight, read back from the file. */
  readonly error: number;
  /** The relative difference of a forward pass; undefined without a model. */
  readonly forwardError?: number;
  /** ||B A - B' A'|| / ||B A|| of a resize to a lower rank. */
  readonly resizeError?: number;
  /** The highest rank of the LoRA that a LoKr or LoHa was written as, without an error. */
  readonly loraRank?: number;
}

/** How far a file may be from the adapter: what rounding to its dtype does, with room. */
const tolerances = { float32: 1e-5, bfloat16: 2 ** -6, float16: 2 ** -9 } as const;

/**
 * Writes an adapter in a format and checks it: what was written is read back as any file is and compared with the
 * adapter, by what it adds to each weight and, with a model at hand, by a forward pass.
 *
 * @throws UserError when the format cannot say what the adapter does, or the check fails; nothing is written then
 */
export async function exportAdapter(adapter: Adapter, options: ExportOptions): Promise<ExportResult> {
  const scaled = scaleAdapter(adapter, options.scale ?? 1);
  const resized = options.rank === undefined ? undefined : resizeAdapter(scaled, options.rank);
  const wanted = resized?.adapter ?? scaled;
  const result =
    options.format === 'merged'
      ? await exportMerged(wanted, options, options.base)
      : await exportFile(wanted, options, options.format);
  return { ...result, ...(resized && { resizeError: resized.error }) };
}

async function exportFile(adapter: Adapter, options: ExportOptions, format: AdapterFormat): Promise<ExportResult> {
  const { output, dtype = 'float32' } = options;
  // Of LoKr and LoHa diffusers has no names for Sana, and ComfyUI's stacked layers are no such products any more.
  const said = format === 'diffusers' || format === 'comfyui' ? asLora(adapter) : adapter;
  const loraRank = said === adapter ? undefined : Math.max(...[...said.modules.values()].map(({ rank }) => rank));
  return await replacing(output, async (temporary) => {
    await writeFile(said, { ...options, output: temporary }, format);
    const checked = await checkFile(adapter, temporary, dtype, options);
    return { path: output, ...checked, ...(loraRank !== undefined && { loraRank }) };
  });
}

async function writeFile(given: Adapter, options: ExportOptions, format: AdapterFormat): Promise<void> {
  const { output, dtype = 'float32', base, about } = options;
  // Half precision has few bits for small numbers, and B is small after a short training.
  const adapter = dtype === 'float16' ? balanced(given) : given;
  if (format === 'diffusers') await writeDiffusers(adapter, options, dtype);
  else {
    const named =
      format === 'comfyui'
        ? await comfyuiTensors(adapter, base && baseWeight(base.model))
        : {
            tensors: kohyaTensors(adapter, format === 'lycoris' ? 'lycoris_' : 'lora_unet_'),
            metadata: networkMetadata(adapter),
          };
    const tensors = inDType(named.tensors, dtype, format === 'comfyui');
    const metadata = { format: 'pt', ...modelSpec(about, tensors), ...named.metadata };
    await writeSafetensors(output, tensors, { metadata });
  }
}

async function checkFile(
  adapter: Adapter,
  path: string,
  dtype: StorageDType,
  { output, base, format }: ExportOptions,
): Promise<Pick<ExportResult, 'error' | 'forwardError'>> {
  const back = await readAnyAdapter(path, base && sanaModules(base.model.config));
  const norms = new Map<string, Float32Array>();
  for (const [name, { dora }] of back.modules) {
    if (base && dora && !adapter.modules.has(name)) norms.set(name, await rowNormsOf(base.model, name));
  }
  const differences = [compareAdapters(adapter, back, norms)];
  if (base && format === 'comfyui') differences.push(await comfyuiDifference(back, path, baseWeight(base.model)));
  for (const { error, module } of differences) {
    if (!(error <= tolerances[dtype])) throw differs(output, `what it adds to ${module}`, error);
  }
  const error = Math.max(...differences.map((difference) => difference.error));
  if (!base) return { error };
  const { model, engine } = base;
  const forwardError = await compareForward(engine, { model, adapter }, { model, adapter: back });
  if (!(forwardError <= tolerances[dtype])) throw differs(output, 'a forward pass', forwardError);
  return { error, forwardError };
}

async function writeDiffusers(
  adapter: Adapter,
  { output, foldAlpha: folds = false }: ExportOptions,
  dtype: StorageDType,
): Promise<void> {
  if (new Set([...adapter.modules.values()].map(({ dora }) => dora)).size > 1) {
    throw new UserError(
      'Some layers of the adapter have magnitudes (DoRA) and some have not, which diffusers cannot load; export it as kohya or merged.',
    );
  }
  // Rank-stabilised scales are said as the alpha that gives the same: every program then agrees.
  const said = {
    tensors: adapter.tensors,
    modules: new Map([...adapter.modules].map(([name, m]) => [name, { ...m, alpha: m.scale * m.rank }])),
  };
  await writeAdapter(output, folds ? foldAlpha(adapter) : said, { dtype });
}

/**
 * The tensors in a dtype; the alphas, which are single numbers, stay as they are, and so do ComfyUI's scales of a DoRA's
 * rows: these are few, and an error of one is an error of the whole row.
 */
function inDType(tensors: FileTensors, given: StorageDType, keepsScales: boolean): FileTensors {
  return new Map(
    [...tensors].map(([name, value]): [string, Tensor] => {
      if (value.shape.length === 0) return [name, value];
      const dtype = keepsScales && name.endsWith('.dora_scale') ? 'float32' : given;
      const converted = fromFloat32(dtype, value.shape, toFloat32(value));
      if (!toFloat32(converted).every(Number.isFinite)) {
        throw new UserError(
          `${name} holds NaN or a number that ${dtype} cannot hold${dtype === 'float16' ? '; write bf16 or fp32' : ''}.`,
        );
      }
      return [name, converted];
    }),
  );
}

/** What kohya's scripts say of a network's size. */
function networkMetadata(adapter: Adapter): Readonly<Record<string, string>> {
  const { modules } = adapter;
  const ranks = new Set([...modules.values()].map(({ rank }) => rank));
  const alphas = new Set([...modules.values()].map(({ scale, rank, lycoris }) => (lycoris ? 1 : scale) * rank));
  const one = (values: ReadonlySet<number>): string => (values.size === 1 ? String([...values][0]) : 'Dynamic');
  const [first] = [...modules.values()].flatMap(({ lycoris }) => lycoris?.kind ?? []);
  return {
    ss_network_module: hasLycoris(adapter) ? 'lycoris.kohya' : 'networks.lora',
    ss_network_dim: one(ranks),
    ss_network_alpha: one(alphas),
    ...(first && { ss_network_args: JSON.stringify({ algo: first }) }),
  };
}

function baseWeight({ weights }: SanaTransformer): BaseWeight {
  return async (module) => {
    const found = weights.get(`${module}.weight`);
    if (!found) throw new UserError(`The model has no ${module}.weight; name the model that the adapter is for.`);
    return toFloat32(isTensorLocation(found) ? await readTensor(found) : found).slice();
  };
}

async function rowNormsOf(model: SanaTransformer, module: string): Promise<Float32Array> {
  return rowNorms(await baseWeight(model)(module), model.weights.get(`${module}.weight`)?.shape[0] ?? 1);
}
