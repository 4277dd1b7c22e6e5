import type { Engine } from '../engine/engine.ts';
import { checkpoint } from '../graph/checkpoint.ts';
import { gradients } from '../graph/gradients.ts';
import { createGraph } from '../graph/graph.ts';
import { reshape } from '../graph/ops/broadcast.ts';
import { add, mul, sub } from '../graph/ops/elementwise.ts';
import { reduceMean } from '../graph/ops/reduce.ts';
import { float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { input, unpacksWeight, type Value } from '../graph/value.ts';
import { type SanaTransformer, sanaInputs } from '../models/load-sana-transformer.ts';
import { conditionFeeds, type SanaConditions } from '../models/sana-feeds.ts';
import { sanaTransformer } from '../models/sana-transformer.ts';
import { quantizedProducts } from '../models/quantized-products.ts';
import { weightReader } from '../models/weights.ts';
import type { Params } from '../optim/optimizer.ts';
import type { Random } from '../random.ts';
import { graphAdapter } from './adapt.ts';
import type { AdaptedModules } from './adapter-config.ts';

// B batch, C latent channels, H W latent size.

/** A batch of examples, all of one latent size. */
export interface TrainingBatch extends Omit<SanaConditions, 'timesteps'> {
  /** Clean latents x0, times the autoencoder's scaling factor [B, C, H, W]. */
  readonly latents: Tensor;
  /** e [B, C, H, W] */
  readonly noise: Tensor;
  /** Noise levels in [0, 1] [B]. */
  readonly sigmas: readonly number[];
  /** What the model is told [B]. @default 1000 sigma */
  readonly timesteps?: readonly number[];
  /** Weight of each sample's loss [B]. @default 1 */
  readonly lossWeights?: readonly number[];
  /** Weight of each latent pixel's loss [B, 1, H, W], divided by nothing: 1 everywhere is the plain loss. @default 1 */
  readonly lossMask?: Tensor;
}

/** What one forward and backward pass gives. */
export interface StepResult {
  /** The mean over the batch of weight times loss. */
  readonly loss: number;
  /** Each sample's own loss, before its weight [B]. */
  readonly losses: Float32Array;
  /** d loss / d parameter, by the parameter's name in the adapter file. */
  readonly gradients: Params;
}

/** A compiled training step. */
export interface TrainingStep {
  /** Names and shapes of the adapter's tensors. */
  readonly parameters: ReadonlyMap<string, readonly number[]>;
  /** @param random draws dropout masks; needed only with dropout */
  run(batch: TrainingBatch, parameters: Params, random?: Random): Promise<StepResult>;
  /** Takes a result back, for the next run to use its memory: what it holds is empty from then on. */
  recycle?(result: StepResult): void;
  dispose(): Promise<void>;
}

/** Settings of a training step. */
export interface TrainingStepOptions {
  /** Recompute each block in the backward pass: less memory, a third more time. @default false */
  readonly gradientCheckpointing?: boolean;
}

/**
 * Compiles forward and backward of the flow objective: x = (1 - sigma) x0 + sigma e, loss = mean (v(x, t) - (e - x0))^2
 * (arXiv 2410.10629, section 3; the diffusers trainer computes the same).
 */
export async function createTrainingStep(
  engine: Engine,
  model: SanaTransformer,
  modules: AdaptedModules,
  { gradientCheckpointing = false }: TrainingStepOptions = {},
): Promise<TrainingStep> {
  const { config, weights } = model;
  const inputs = sanaInputs(config);
  const { shape } = inputs.hiddenStates;
  const [b = 1, , height = 1, width = 1] = shape;
  const latents = input('latents', shape);
  const noise = input('noise', shape);
  const sigmas = input('sigmas', [b, 1, 1, 1]);
  const lossWeights = input('loss_weights', [b]);
  const lossMask = input('loss_mask', [b, 1, height, width]);

  const target = sub(noise, latents);
  const noisy = add(latents, mul(sigmas, target)); // (1 - sigma) x0 + sigma e
  const adapter = graphAdapter(modules, { training: true });
  const { sample, boundaries } = sanaTransformer(
    config,
    weightReader(weights),
    { ...inputs, hiddenStates: noisy },
    adapter.adapt,
    quantizedProducts(weights),
  );
  const error = sub(sample, target);
  const losses = reshape(reduceMean(mul(mul(error, error), lossMask), [1, 2, 3]), [b]);
  const loss = reduceMean(mul(losses, lossWeights), [0], false);

  const names = [...adapter.parameters.keys()];
  const grads = gradients(loss, [...adapter.parameters.values()]);
  const outputs: Record<string, Value> = { loss, losses };
  for (const [i, gradient] of grads.entries()) outputs[`gradient.${names[i]}`] = gradient;
  const graph = createGraph(gradientCheckpointing ? checkpoint(outputs, { loss, boundaries }) : outputs);
  const unpacksTwice = graph.nodes.some(unpacksWeight);
  const executable = await engine.compile(graph, weights, { recomputes: gradientCheckpointing || unpacksTwice });
  const outputsOf = new WeakMap<StepResult, Record<string, Tensor>>();

  return {
    parameters: new Map([...adapter.parameters].map(([name, value]) => [name, value.shape.map(Number)])),
    async run(batch, parameters, random) {
      const [count = 1, , h = 1, w = 1] = batch.latents.shape;
      const timesteps = batch.timesteps ?? batch.sigmas.map((sigma) => 1000 * sigma);
      const feeds: Record<string, Tensor> = {
        ...conditionFeeds(config, batch.latents.shape, { ...batch, timesteps }),
        latents: batch.latents,
        noise: batch.noise,
        sigmas: float32([count, 1, 1, 1], [...batch.sigmas]),
        loss_weights: float32([count], batch.lossWeights ?? Array<number>(count).fill(1)),
        loss_mask: batch.lossMask ?? float32([count, 1, h, w], new Float32Array(count * h * w).fill(1)),
      };
      for (const name of names) {
        const parameter = parameters.get(name);
        if (!parameter) throw new RangeError(`trainingStep: parameter ${name} is missing`);
        feeds[name] = parameter;
      }
      for (const [name, { shape: dims }] of graph.inputs) {
        if (!name.startsWith('dropout.')) continue;
        if (!random) throw new RangeError('trainingStep: dropout needs a generator');
        feeds[name] = dropoutFeed(
          dims.map((dim) => bindDim(dim, count, (h * w) / config.patch_size ** 2, feeds)),
          name.endsWith('.tokens'),
          random,
        );
      }
      const result = await executable.run(feeds);
      const gradientsByName = new Map<string, ReturnType<typeof float32>>();
      for (const name of names) {
        const gradient = result[`gradient.${name}`];
        if (gradient) gradientsByName.set(name, float32(gradient.shape, toFloat32(gradient)));
      }
      const step: StepResult = {
        loss: Number(result.loss?.data[0]),
        losses: result.losses ? toFloat32(result.losses) : new Float32Array(),
        gradients: gradientsByName,
      };
      outputsOf.set(step, result);
      return step;
    },
    recycle(step) {
      const outputs = outputsOf.get(step);
      if (outputs) executable.recycle?.(outputs);
    },
    dispose: () => executable.dispose(),
  };
}

function bindDim(dim: number | string, batch: number, tokens: number, feeds: Readonly<Record<string, Tensor>>): number {
  if (typeof dim === 'number') return dim;
  if (dim === 'B') return batch;
  if (dim === 'T') return feeds.encoder_hidden_states?.shape[1] ?? 1;
  return tokens;
}

/** The vectors whose products decide what dropout keeps (see `dropout` in graph/ops/activation.ts). */
function dropoutFeed(shape: readonly number[], tokens: boolean, random: Random): Tensor {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
    tokens ? 1 + random.uniform() : 1000 * (1 + random.uniform()),
  );
  return float32(shape, data);
}
