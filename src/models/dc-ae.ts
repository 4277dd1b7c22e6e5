/** AutoencoderDC, the autoencoder of Sana. Shapes: B batch, C latent channels, H and W height and width. */
import type { Engine, Executable } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import { createGraph, type Graph } from '../graph/graph.ts';
import { float32, toFloat32, type Tensor } from '../graph/tensor.ts';
import { input } from '../graph/value.ts';
import { assertFinite } from '../io/assert-finite.ts';
import { checkClass, openCheckpoint, type CheckpointOptions } from '../io/checkpoint.ts';
import type { Weights } from '../io/safetensors.ts';
import { checkNoUnknownTensors } from '../io/take-tensor.ts';
import { parseDcAeConfig, type DcAeConfig } from './dc-ae-config.ts';
import { decoderGraph, encoderGraph } from './dc-ae-graph.ts';
import { runTiled, takeSamples } from './dc-ae-tiling.ts';
import { weightReader } from './weights.ts';

/** An autoencoder's weights and the two graphs over them. */
export interface DcAe {
  readonly config: DcAeConfig;
  readonly weights: Weights;
  /** images [B, 3, f H, f W] -> latents [B, C, H, W], f the spatial compression. */
  readonly encoder: Graph;
  /** latents [B, C, H, W] -> images [B, 3, f H, f W]. */
  readonly decoder: Graph;
}

/** How an autoencoder runs. */
export interface DcAeOptions {
  /**
   * Pictures with more pixels are computed in tiles, which bounds memory and changes the result a little; a batch is
   * computed in parts of at most as many. 0 tiles what is larger than one tile, as diffusers' enable_tiling does;
   * Infinity never tiles, as diffusers does by default. A million pixels take about 3 GB to encode and 4 GB to decode
   * with the f32c32 autoencoder, in tiles 1.5 and 1.8 GB.
   * @default 1024 * 1024, the largest of Sana's 1024 px sizes
   */
  readonly maxPixels?: number;
  /** Side of a tile in pixels. @default 512, as in diffusers */
  readonly tileSize?: number;
  /** From one tile's beginning to the next one's in pixels. @default 448, as in diffusers */
  readonly tileStride?: number;
}

/** An autoencoder ready to run. */
export interface RunningDcAe {
  /** Pixels of a picture's side per element of the latents' side. */
  readonly spatialCompression: number;
  /** The transformer's latents are what `encode` gives times this. */
  readonly scalingFactor: number;
  /**
   * [B, 3, H, W] float32 in -1 to 1 -> latents [B, C, H / f, W / f], without the scaling factor.
   * @throws RangeError when H or W is no multiple of f, the spatial compression
   */
  encode(images: Tensor): Promise<Tensor>;
  /** Latents [B, C, h, w] without the scaling factor -> pictures [B, 3, f h, f w] around -1 to 1, not clamped. */
  decode(latents: Tensor): Promise<Tensor>;
  /** Frees what was compiled. */
  dispose(): Promise<void>;
}

/**
 * Opens a vae folder of a pipeline in diffusers' layout, and reads its weights once to check them.
 * @throws UserError when a file, the config or a tensor is not what it should be
 */
export async function loadDcAe(folder: string, options: CheckpointOptions = {}): Promise<DcAe> {
  const checkpoint = await openCheckpoint(folder, options);
  checkClass(checkpoint, '_class_name', 'AutoencoderDC');
  const dcAe = buildDcAe(parseDcAeConfig(checkpoint.config, checkpoint.configPath), checkpoint.tensors);
  await assertFinite(dcAe.weights);
  return dcAe;
}

/**
 * Builds the graphs. Whatever the weights are stored in, the computation is in float32: in float16 it overflows.
 * @throws UserError when a tensor is missing, unknown or of another shape
 */
export function buildDcAe(config: DcAeConfig, weights: Weights): DcAe {
  const read = weightReader(weights);
  const { inChannels, latentChannels, spatialCompression } = config;
  const [height, width] = [`${spatialCompression}*H`, `${spatialCompression}*W`];
  const latents = encoderGraph(read, config, input('images', ['B', inChannels, height, width]));
  const images = decoderGraph(read, config, input('latents', ['B', latentChannels, 'H', 'W']));
  // A count of training steps that batch norms are saved with.
  const counts = [...read.taken].map((name) => name.replace(/\.running_mean$/, '.num_batches_tracked'));
  checkNoUnknownTensors(weights, [...read.taken, ...counts]);
  return { config, weights, encoder: createGraph({ latents }), decoder: createGraph({ images }) };
}

/** Makes an autoencoder that runs on `engine`; each half is compiled when it is first used. */
export function createDcAe(engine: Engine, dcAe: DcAe, options: DcAeOptions = {}): RunningDcAe {
  const { maxPixels = 1024 * 1024, tileSize = 512, tileStride = 448 } = options;
  const { spatialCompression: factor, scalingFactor, inChannels, latentChannels } = dcAe.config;
  if (tileSize % factor !== 0 || tileStride % factor !== 0 || tileStride <= 0 || tileStride > tileSize) {
    throw new UserError(
      `Tiles of ${tileSize} px every ${tileStride} px do not fit; use multiples of ${factor}, the second at most the first.`,
    );
  }
  const compiled = new Map<Graph, Promise<Executable>>();

  async function run(graph: Graph, feed: Tensor): Promise<Tensor> {
    let executable = compiled.get(graph);
    if (!executable) compiled.set(graph, (executable = engine.compile(graph, dcAe.weights)));
    const [[inputName = '']] = [[...graph.inputs.keys()]];
    const outputs = await (await executable).run({ [inputName]: feed });
    const [output] = Object.values(outputs);
    if (!output) throw new RangeError('AutoencoderDC: the engine gave no output');
    return output;
  }

  /** @param scale the output's side for one of the input's, @param pixels pixels of a side for one of the input's */
  async function runInParts(graph: Graph, x: Tensor, scale: number, pixels: number): Promise<Tensor> {
    const [batch = 0, , height = 0, width = 0] = x.shape;
    const perSample = height * width * pixels ** 2;
    const [tile, stride] = [tileSize / pixels, tileStride / pixels];
    const isTiled = perSample > maxPixels && (height > tile || width > tile);
    const samples = isTiled ? 1 : Math.max(1, Math.floor(maxPixels / perSample));
    if (samples >= batch && !isTiled) return run(graph, x);
    const parts: Tensor[] = [];
    for (let start = 0; start < batch; start += samples) {
      const part = takeSamples(x, start, Math.min(batch, start + samples));
      parts.push(
        isTiled
          ? await runTiled(part, { tile, stride, scale, run: (piece) => run(graph, piece) })
          : await run(graph, part),
      );
    }
    return joinSamples(parts);
  }

  return {
    spatialCompression: factor,
    scalingFactor,
    async encode(images) {
      checkShape('encode', images, inChannels, factor);
      return runInParts(dcAe.encoder, images, 1 / factor, 1);
    },
    async decode(latents) {
      checkShape('decode', latents, latentChannels, 1);
      return runInParts(dcAe.decoder, latents, factor, factor);
    },
    async dispose() {
      const executables = await Promise.allSettled(compiled.values());
      compiled.clear();
      for (const result of executables) if (result.status === 'fulfilled') await result.value.dispose();
    },
  };
}

function checkShape(caller: string, { dtype, shape }: Tensor, channels: number, multiple: number): void {
  const [batch = 0, c, height = 0, width = 0] = shape;
  const fits = [height, width].every((size) => size > 0 && size % multiple === 0);
  if (dtype !== 'float32' || shape.length !== 4 || batch === 0 || c !== channels || !fits) {
    const sides = multiple === 1 ? '' : ` with H and W multiples of ${multiple}`;
    throw new RangeError(
      `${caller}: float32 [B, ${channels}, H, W]${sides} expected, got ${dtype} [${shape.join(', ')}]`,
    );
  }
}

function joinSamples(parts: readonly Tensor[]): Tensor {
  const [, ...rest] = parts[0]?.shape ?? [];
  const samples = parts.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(toFloat32(part), at);
    at += part.data.length;
  }
  return float32([samples, ...rest], data);
}
