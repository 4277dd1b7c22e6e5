import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';

import { type Config, configSchema } from './schema.ts';
import { childNode, childValue, configNode, isMapping, type Path, pathText, type SchemaNode } from './schema-node.ts';

/** A resolved config as YAML, every option written out; loading it gives the same config. */
export function formatConfig(config: Config): string {
  const text = stringify(config, { aliasDuplicateObjects: false, lineWidth: 0, version: '1.2' });
  return `# The resolved config of this run, with every default. Paths are absolute.\n${text}`;
}

/** An option with two values. */
export interface OptionChange {
  /** As `train.max_train_steps`. */
  readonly option: string;
  readonly from: unknown;
  readonly to: unknown;
}

/** Options, down to single ones, that two values of the same part of a config differ in. */
function* differences(
  from: unknown,
  to: unknown,
  node: SchemaNode | undefined,
  path: Path,
): Generator<OptionChange & { readonly node: SchemaNode | undefined }> {
  if (isDeepStrictEqual(from, to)) return;
  const areSections = isMapping(from) && isMapping(to) && node?.docs?.otherNames === undefined && path.length < 2;
  const areLists =
    Array.isArray(from) && Array.isArray(to) && pathText(path) === 'dataset.sources' && from.length === to.length;
  const isSource = isMapping(from) && isMapping(to) && path[1] === 'sources' && path.length === 3;
  if (!areSections && !areLists && !isSource) {
    yield { option: pathText(path), from, to, node };
    return;
  }
  const keys = areLists ? from.keys() : new Set([...Object.keys(from), ...Object.keys(to)]);
  for (const key of keys) {
    yield* differences(childValue(from, key), childValue(to, key), node && childNode(node, to, key), [...path, key]);
  }
}

/** What a config says beyond the defaults, for reports: `from` is the default. */
export function changesFromDefaults(config: Config): readonly OptionChange[] {
  const defaults = configSchema.parse({
    model: { path: config.model.path },
    dataset: { sources: config.dataset.sources.map(({ path }) => ({ path })) },
  });
  const comparable = {
    ...defaults,
    run_dir: config.run_dir,
    dataset: { ...defaults.dataset, cache_dir: config.dataset.cache_dir },
  };
  return [...differences(comparable, config, configNode(), [])].map(({ option, from, to }) => ({ option, from, to }));
}

/** What differs between the config of a run and the one that it is resumed with. */
export interface ResumeChanges {
  /** These take effect from here on. */
  readonly allowed: readonly OptionChange[];
  /** With these the run would be another one: it is refused. */
  readonly refused: readonly OptionChange[];
}

/** Sorts the changes of a resumed run's config into those that may be and those that would make it another run. */
export function changesOnResume(before: Config, after: Config): ResumeChanges {
  const allowed: OptionChange[] = [];
  const refused: OptionChange[] = [];
  for (const { node, ...change } of differences(before, after, configNode(), [])) {
    (node?.docs?.mayChange === true ? allowed : refused).push(change);
  }
  return { allowed, refused };
}
