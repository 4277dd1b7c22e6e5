import { alternatives, configNode, type Path, pathText, type SchemaNode } from './schema-node.ts';

const asInFiles =
  'weights are kept as their files hold them and computed with in float32; model.variant chooses the files';

/** Options of other trainers that have no counterpart here, with the reason, as the end of a sentence. */
const withoutCounterpart: Readonly<Record<string, string>> = {
  allow_tf32: 'products on the CPU are exact',
  cache_latents: 'latents are always cached; dataset.cache_dir says where',
  cache_latents_to_disk: 'latents are always cached on disk; dataset.cache_dir says where',
  cache_text_encoder_outputs: 'text embeddings are always cached; dataset.cache_dir says where',
  dataloader_num_workers: 'pictures are decoded ahead on all cores by themselves',
  enable_xformers_memory_efficient_attention: 'the engine fuses attention by itself',
  hub_token: 'a token does not belong into a file; set HF_TOKEN in the environment',
  local_rank: 'one machine trains',
  lowram: 'the text encoder and the autoencoder are always freed before training',
  noise_offset: 'flow models such as Sana have no use for it; train.flow_shift moves training towards noise',
  min_snr_gamma: 'flow models such as Sana have no use for it; see train.weighting_scheme',
  snr_gamma: 'flow models such as Sana have no use for it; see train.weighting_scheme',
  offload: 'the text encoder and the autoencoder are always freed before training',
  scale_lr: 'train.learning_rate is used as it is',
  train_text_encoder: "Sana's text encoder is never trained",
  mixed_precision: asInFiles,
  precision: asInFiles,
  base_model_precision: asInFiles,
  weight_dtype: asInFiles,
  quantize: asInFiles,
  train_dtype: asInFiles,
  transformer_dtype: asInFiles,
  vae_dtype: asInFiles,
  vae_precision: asInFiles,
  use_8bit_adam: 'adapters are small; train.optimizer: adafactor or came takes less memory',
};

/** Why an option of another trainer is none here; undefined for what no trainer has. */
export function reasonForAbsence(name: string): string | undefined {
  return Object.hasOwn(withoutCounterpart, name) ? withoutCounterpart[name] : undefined;
}

interface KnownOption {
  readonly path: Path;
  readonly node: SchemaNode;
}

/** Every option below a node that is reached without an index, with its path. */
function* optionsBelow(node: SchemaNode, path: Path): Generator<KnownOption> {
  for (const { properties = {} } of alternatives(node)) {
    for (const [key, inner] of Object.entries(properties)) {
      yield { path: [...path, key], node: inner };
      yield* optionsBelow(inner, [...path, key]);
    }
  }
}

/** Where an option stands that was written elsewhere, or by another trainer's name. Prefers `section`. */
export function findByOtherName(name: string, section: string | undefined): string | undefined {
  const plain = name.toLowerCase().replaceAll(/[-\s]/g, '_');
  const all = [...optionsBelow(configNode(), [])];
  const own = all.filter(({ path }) => path[0] === section);
  for (const options of [own, all]) {
    const found =
      options.find(({ path }) => path.at(-1) === plain) ??
      options.find(({ node }) => node.docs?.otherNames?.includes(plain) === true);
    if (found) return pathText(found.path);
  }
  return undefined;
}

/** The names of all options with their paths, for typos in the wrong section. */
export function allOptionNames(): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { path } of optionsBelow(configNode(), [])) {
    const name = String(path.at(-1));
    if (!names.has(name)) names.set(name, pathText(path));
  }
  return names;
}
