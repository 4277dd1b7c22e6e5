/**
 * What a run will take, before it runs. A training step is counted on its own graph (src/run/step-cost.ts) and times
 * and bytes follow from the counts by factors fitted to measurements, which test/unit/run/estimate.test.ts keeps; the
 * other stages are counts of multiplications and of activations.
 */
import type { GraphCost } from '../graph/cost.ts';
import type { DType } from '../graph/tensor.ts';
import type { DcAeConfig, DcAeStage } from '../models/dc-ae-config.ts';
import { nf4Block } from '../graph/ops/nf4.ts';
import type { Gemma2Config } from '../models/gemma2-config.ts';
import type { BasePrecision, TextPrecision } from '../models/precisions.ts';
import { hiddenWidth, innerWidth, type SanaTransformerConfig } from '../models/sana-transformer-config.ts';

/** The parts of a pipeline, as far as they decide what a run takes. */
export interface ModelSize {
  readonly transformer: SanaTransformerConfig;
  readonly vae: DcAeConfig;
  readonly textEncoder: Gemma2Config;
  /** Bytes of the transformer's weights as the files hold them. */
  readonly transformerBytes: number;
  readonly vaeBytes: number;
  /** What the transformer's files hold; what is not float32 is converted as it is used. */
  readonly transformerDtype: DType;
}

/** Pictures that a run makes. */
export interface SampleSize {
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guided: boolean;
}

/** What a run does, in numbers. */
export interface RunSize {
  readonly model: ModelSize;
  /** Optimizer steps that are left. */
  readonly steps: number;
  /** Samples of one forward and backward pass, class pictures among them. */
  readonly batchSize: number;
  readonly accumulation: number;
  /** What one forward and backward pass takes, of a batch of the largest pictures, of weights in float32. */
  readonly step: GraphCost;
  readonly gradientCheckpointing: boolean;
  /** What the frozen weights are kept and multiplied in. */
  readonly precision: BasePrecision;
  /** Pixels of the largest and of the mean picture as it is trained. */
  readonly largestPixels: number;
  readonly meanPixels: number;
  /** Tokens of a caption as the transformer sees it, on average. */
  readonly textTokens: number;
  /** Numbers that are trained. */
  readonly adapterParameters: number;
  /** Numbers that the optimizer keeps for each of them, and one more with an average. */
  readonly stateSize: number;
  /** Pictures that are to be encoded, and captions, with the tokens that Gemma reads of all of them. */
  readonly pictures: number;
  readonly captions: number;
  readonly captionTokens: number;
  readonly textPrecision: TextPrecision;
  /** How often samples are made, and what they are. */
  readonly sampleRounds: number;
  readonly samples: readonly SampleSize[];
  readonly classPictures: readonly SampleSize[];
  readonly checkpoints: number;
}

/** What a run will take. */
export interface RunEstimate {
  /** Bytes of memory at the worst moment of each stage. */
  readonly memory: {
    readonly captions: number;
    readonly pictures: number;
    readonly train: number;
    readonly sample: number;
  };
  /** Bytes on the disk. */
  readonly disk: { readonly cache: number; readonly run: number };
  /** Seconds of each stage. */
  readonly seconds: {
    readonly captions: number;
    readonly pictures: number;
    readonly classPictures: number;
    readonly step: number;
    readonly train: number;
    readonly samples: number;
  };
}

const float = 4;

// Node, onnxruntime, the compiled graph and what is garbage for a while (npm run bench -- full; bench/measured.json).
const baseMemory = 340 * 2 ** 20;

// Weights of 16 and 4 bits are converted as they are used, and two converted ones of the largest kind live at once: whole models
// took 50 to 90 MiB (0.6B) and 190 MiB (1.6B) more than of float32 files, or than steps of fewer weights.
const convertedWeights = 2;

// Of what lives at once by the graph's order: what onnxruntime's arena loses between blocks.
const arenaFactor = 1.15;

// Bytes of a picture's pixel and first-stage channel at the worst moment: a million pixels took 3 GB to encode and 4 GB
// to decode with 128 channels, 512 x 512 half as much (src/models/dc-ae.ts).
const encodeBytes = 15;
const decodeBytes = 22;
const tilePixels = 512 * 512;
const untiledPixels = 1024 * 1024;

// The text encoder's speed in 8 bits, where a product takes a quarter of the time, over that in fp32: by what four layers of
// Gemma-2-2B took for 280 and 2000 tokens.
const int8TextShare = 2;

// What a network reaches of the speed that a product of two 1024 x 1024 matrices has: four fifths of a training step
// are matrix products, and the f32c32 autoencoder took as long at 256 and 512 pixels.
const share = 0.8;

// A training step's operations a second over that speed, which also waits for operands to be handed over: fp32 steps of 4
// to 28 layers, 512 to 2048 px, came to 330 to 370 GFLOP/s where measureSpeed gave 320, at 4096 px, where no tensor stays
// in a cache, to 310 (bench/measured.json).
const stepShare = 1.07;

// In 8 bits products are so fast, 2350 GFLOP/s on the same cores, that what moves bytes takes as long: 20 GB/s where the
// hidden states [B, N, D] are large, and up to 30 more where a cache holds a few tensors of them, half of that at 12 MB.
const int8Share = 7.3;
const memoryShare = 20 / 320;
const cacheShare = 30 / 320;
const cachedBytes = 12e6;

// Making a float of 4 bits takes as long as so many operations of a step: .4 to .5 ns of two cores, by what steps of the
// 0.6B took longer so, forward, for dx, and recomputed (bench/measured.json).
const unpackFlops = 150;

// Feeds, the optimizer and the start of a graph: what a step of the smallest models takes.
const feedSeconds = 0.01;

/** Numbers of the transformer that see every image token, and those that see every text token. */
function transformerParameters(config: SanaTransformerConfig): { readonly image: number; readonly text: number } {
  const d = innerWidth(config);
  const h = hiddenWidth(config);
  const { num_layers: layers, caption_channels: captionChannels } = config;
  // attn1 4 D^2, attn2's q and out 2 D^2, the feed-forward D * 2H + H * D and its 3x3 depthwise convolution.
  const image = layers * (6 * d * d + 3 * h * d + 18 * h);
  return { image, text: layers * 2 * d * d + captionChannels * d + d * d };
}

/** All numbers of the transformer's matrices. */
export function transformerSize(config: SanaTransformerConfig): number {
  const d = innerWidth(config);
  const { image, text } = transformerParameters(config);
  return image + text + 6 * d * d + d * d + 256 * d;
}

/** Numbers of the matrices of the blocks. */
function blocksSize(config: SanaTransformerConfig): number {
  const d = innerWidth(config);
  return config.num_layers * (8 * d * d + 3 * hiddenWidth(config) * d);
}

/** Bytes of the blocks' weights in 8 bits, once for x and once for dx; onnxruntime copies them out of their file. */
function quantizedBytes(config: SanaTransformerConfig): number {
  return 2 * blocksSize(config);
}

/** Bytes of weights that a step reads where they lie in their files: memory that the system can have back at any time. */
export function mappedBytes({ model, precision }: Pick<RunSize, 'model' | 'precision'>): number {
  if (precision !== 'nf4') return model.transformerBytes;
  const blocks = blocksSize(model.transformer);
  const others = model.transformerBytes * (1 - blocks / transformerSize(model.transformer));
  return others + blocks * (0.5 + float / nf4Block);
}

/** Numbers of the text encoder's layers; its embeddings are looked up and not multiplied. */
export function textEncoderSize(config: Gemma2Config): number {
  const { hidden_size: d, intermediate_size: h, num_hidden_layers: layers } = config;
  const { num_attention_heads: heads, num_key_value_heads: keyValueHeads, head_dim: head } = config;
  return layers * (2 * d * head * (heads + keyValueHeads) + 3 * d * h);
}

/**
 * Multiplications and additions of half an autoencoder. A residual block has two 3x3 convolutions, 36 C^2 a position;
 * a block with attention has as many (q, k, v, their scales and out about 10 C^2, the gated convolution 24 C^2).
 */
function autoencoderFlops(stages: readonly DcAeStage[], pixels: number): number {
  return stages.reduce((sum, { channels, layers }, i) => sum + (36 * layers * channels ** 2 * pixels) / 4 ** i, 0);
}

/** Image tokens of a picture of so many pixels. */
function tokensOf({ transformer, vae }: ModelSize, pixels: number): number {
  return pixels / (vae.spatialCompression * transformer.patch_size) ** 2;
}

/** How often the transformer runs for a picture: twice a step with guidance. */
function passesOf({ steps, guided }: SampleSize): number {
  return steps * (guided ? 2 : 1);
}

function sampleFlops(model: ModelSize, sample: SampleSize): number {
  const { width, height } = sample;
  const { image } = transformerParameters(model.transformer);
  return (
    2 * image * tokensOf(model, width * height) * passesOf(sample) + autoencoderFlops(model.vae.decoder, width * height)
  );
}

/** Pixels that the autoencoder has before it at a time; larger pictures are tiled. */
function tiled(pixels: number): number {
  return pixels > untiledPixels ? tilePixels : pixels;
}

/** Seconds of a forward and backward pass of a batch of the largest pictures. */
function stepSeconds({ model, step, precision, batchSize, largestPixels }: RunSize, gigaflops: number): number {
  const speed = gigaflops * 1e9;
  if (precision !== 'int8') return step.flops / (speed * stepShare);
  const hiddenBytes = batchSize * tokensOf(model, largestPixels) * innerWidth(model.transformer) * float;
  const bytesShare = memoryShare + cacheShare / (1 + hiddenBytes / cachedBytes);
  return (step.flops / int8Share + step.bytesMoved / bytesShare) / speed;
}

/** Seconds in which the blocks' weights are made of 4 bits once. */
function unpackSeconds({ model, precision }: RunSize, gigaflops: number): number {
  return precision === 'nf4' ? (unpackFlops * blocksSize(model.transformer)) / (gigaflops * 1e9 * stepShare) : 0;
}

/**
 * Bytes of a training step beside the weights, which are mapped out of their files.
 * @param stateSize numbers that the optimizer keeps for each of the adapter's
 */
function stepMemory(step: GraphCost, adapterParameters: number, stateSize: number): number {
  // The adapter, here and in the engine's thread, its gradients likewise, and what the optimizer keeps.
  const trained = adapterParameters * float * (4 + stateSize);
  return baseMemory + arenaFactor * step.peakBytes + trained;
}

/**
 * Memory, disk and time of a run.
 * @param gigaflops what measureSpeed gives for the engine
 */
export function estimateRun(run: RunSize, gigaflops: number): RunEstimate {
  const { model, samples } = run;
  const { transformer, vae, textEncoder } = model;
  const [first] = vae.encoder;
  const channels = first?.channels ?? 0;
  const largestSample = Math.max(0, ...samples.map(({ width, height }) => width * height));

  const layer = textEncoderSize(textEncoder) / textEncoder.num_hidden_layers;
  const isTextExact = run.textPrecision === 'fp32';
  const [textBytes, textShare] = isTextExact ? [float, 1] : [1, int8TextShare];
  const quantized = run.precision === 'int8' ? quantizedBytes(transformer) : 0;
  const isConverted = run.precision === 'nf4' || (model.transformerDtype !== 'float32' && run.precision === 'fp32');
  const largestWeight = 2 * hiddenWidth(transformer) * innerWidth(transformer);
  const converted = isConverted ? convertedWeights * largestWeight * float : 0;
  const step = stepMemory(run.step, run.adapterParameters, run.stateSize);
  const train = mappedBytes(run) + quantized + converted + step;

  const speed = gigaflops * 1e9;
  const unpack = unpackSeconds(run, gigaflops);
  // Nearly all of a step is in proportion to the image tokens, but for what weights take: forward, for dx, and recomputed.
  const pass =
    stepSeconds(run, gigaflops) * (run.largestPixels > 0 ? run.meanPixels / run.largestPixels : 1) +
    unpack * (run.gradientCheckpointing ? 3 : 2);
  const stepTime = feedSeconds + pass * run.accumulation;
  const secondsOf = (pictures: readonly SampleSize[]): number =>
    pictures.reduce(
      (sum, picture) =>
        sum + passesOf(picture) * (feedSeconds + unpack) + sampleFlops(model, picture) / (speed * share),
      0,
    );

  return {
    memory: {
      captions:
        run.captions > 0 ? baseMemory + layer * textBytes + 1024 * textEncoder.intermediate_size * 8 * float : 0,
      pictures: run.pictures > 0 ? baseMemory + model.vaeBytes + encodeBytes * channels * tiled(run.largestPixels) : 0,
      train,
      sample: samples.length > 0 ? train + model.vaeBytes + decodeBytes * channels * tiled(largestSample) : 0,
    },
    disk: {
      cache:
        run.captions * run.textTokens * transformer.caption_channels * float +
        (run.captions > 0 && !isTextExact ? textEncoderSize(textEncoder) : 0) +
        run.pictures * (run.meanPixels / vae.spatialCompression ** 2) * vae.latentChannels * float,
      run:
        run.adapterParameters * float * (1 + (1 + run.stateSize) * run.checkpoints) +
        // PNG takes about two bytes a pixel.
        run.sampleRounds * samples.reduce((sum, { width, height }) => sum + 2 * width * height, 0),
    },
    seconds: {
      captions: (2 * textEncoderSize(textEncoder) * run.captionTokens) / (speed * share * textShare),
      pictures: (run.pictures * autoencoderFlops(vae.encoder, run.meanPixels)) / (speed * share),
      classPictures: secondsOf(run.classPictures),
      step: stepTime,
      train: stepTime * run.steps,
      samples: run.sampleRounds * secondsOf(samples),
    },
  };
}
