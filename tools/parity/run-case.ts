import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { UserError } from '../../src/errors.ts';
import { type CaseEntry, type KindModule, readTensors } from './cases.ts';
import { type Comparison, compareTensors } from './compare.ts';

const kindsFolder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'kinds');

/** The kinds that can be computed. */
export interface Kinds {
  /** The kind's module, loaded when a case first needs it; undefined where there is none. */
  load(kind: string): Promise<KindModule | undefined>;
  /** Releases what the kinds keep between cases. */
  dispose(): Promise<void>;
}

function isKindModule(module: object): module is KindModule {
  return 'run' in module && typeof module.run === 'function';
}

/** The kinds that tools/parity/kinds has a file for. */
export async function createKinds(): Promise<Kinds> {
  const files = await readdir(kindsFolder);
  const loaded = new Map<string, KindModule>();
  return {
    async load(kind) {
      const file = `${kind.replaceAll('_', '-')}.ts`;
      if (!loaded.has(kind) && files.includes(file)) {
        const module: object = await import(pathToFileURL(path.join(kindsFolder, file)).href);
        if (!isKindModule(module)) throw new TypeError(`tools/parity/kinds/${file} exports no function run`);
        loaded.set(kind, module);
      }
      return loaded.get(kind);
    },
    async dispose() {
      for (const module of loaded.values()) await module.dispose?.();
    },
  };
}

/** Computes a case and compares it; an error of the computation is a comparison that fails. */
export async function runCase(folder: string, entry: CaseEntry, kinds: Kinds): Promise<Comparison> {
  try {
    const module = await kinds.load(entry.kind);
    if (!module) {
      const detail = `unknown kind: there is no tools/parity/kinds/${entry.kind.replaceAll('_', '-')}.ts`;
      return { error: Number.NaN, detail };
    }
    const inputs = entry.inputs === undefined ? new Map() : await readTensors(folder, entry.inputs);
    const expected = await readTensors(folder, entry.expected);
    const { kind, name, params } = entry;
    const got = await module.run({ kind, name, params, inputs, folder, expectedNames: [...expected.keys()] });
    return compareTensors(got, expected, entry.tol, module.comparison);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { error: Number.NaN, detail: error instanceof UserError ? error.message : text };
  }
}
