import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, relative, resolve } from 'node:path';

import { quoted } from '../io/json.ts';
import type { Problem } from './problem.ts';
import { mapOptions, type Path, pathText } from './schema-node.ts';

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What relative paths start at, and what replaces variables. */
export interface PathContext {
  readonly env: Environment;
  /** The working directory. */
  readonly cwd: string;
  /** The config file's folder. */
  readonly folder: string;
  /** Whether the value at a path came from the command line: then it starts at the working directory. */
  readonly fromCommandLine: (path: Path) => boolean;
  /** Whether what is read has to exist. */
  readonly checkFiles: boolean;
}

/** Models and captioners that come with this package. */
const bundled = /^(sana-pico|caption-pico-(brief|detailed)|clip-pico)$/;
const hubId = /^[\w-][\w.-]*\/[\w.-]+$/;

/** `${NAME}` and `${NAME:-default}` replaced, and `~` before a slash; or a sentence about what cannot be. */
export function expandVariables(text: string, env: Environment): { readonly text: string } | string {
  const missing: string[] = [];
  const expanded = text.replaceAll(/\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g, (_, name: string, fallback?: string) => {
    const value = env[name];
    if (value !== undefined && value !== '') return value;
    if (fallback === undefined) missing.push(name);
    return fallback ?? '';
  });
  if (missing.length > 0) {
    const [name = ''] = missing;
    return `the environment variable ${missing.join(', ')} is not set; set it, or give a default: \${${name}:-folder}`;
  }
  if (expanded.includes('${')) return 'it has a ${ that is not ${NAME} or ${NAME:-default}';
  const home = env['HOME'] ?? homedir();
  return { text: /^~(?=[/\\]|$)/.test(expanded) ? join(home, expanded.slice(1)) : expanded };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes every path of a config absolute and replaces variables in it, and checks that what is read is there.
 * @returns the changed config and a sentence for each path that does not lead anywhere
 */
export async function resolvePaths(
  config: unknown,
  context: PathContext,
): Promise<{ readonly config: unknown; readonly problems: readonly Problem[] }> {
  const problems: Problem[] = [];
  const toCheck: { readonly path: Path; readonly written: string; readonly found: string; readonly base: string }[] =
    [];
  const models: { readonly path: Path; readonly found: string }[] = [];
  const fail = (path: Path, written: string, reason: string): void => {
    problems.push({ path, part: 'value', message: `${pathText(path)} is ${quoted(written)}: ${reason}.` });
  };

  const resolved = mapOptions(config, (value, { docs }, path) => {
    const kind = docs?.path;
    if (kind === undefined || typeof value !== 'string' || value === '' || docs?.words?.includes(value) === true)
      return value;
    const expanded = expandVariables(value, context.env);
    if (typeof expanded === 'string') {
      fail(path, value, expanded);
      return value;
    }
    const base = kind === 'output' || context.fromCommandLine(path) ? context.cwd : context.folder;
    const found = resolve(base, expanded.text);
    if (kind === 'input') toCheck.push({ path, written: expanded.text, found, base });
    if (kind !== 'model') return found;
    if (bundled.test(value)) return value;
    if (/^\.{0,2}[/\\]|^[A-Za-z]:[/\\]|^\.{1,2}$/.test(expanded.text)) {
      toCheck.push({ path, written: expanded.text, found, base });
      return found;
    }
    models.push({ path, found });
    return expanded.text;
  });

  // A name such as models/mine may be a folder or an id: the folder goes first.
  const folders = new Map<string, string>();
  for (const { path, found } of models) if (await exists(found)) folders.set(pathText(path), found);
  const withFolders = mapOptions(resolved, (value, _, path) => {
    if (typeof value !== 'string' || !models.some((model) => pathText(model.path) === pathText(path))) return value;
    const folder = folders.get(pathText(path));
    if (folder === undefined && !hubId.test(value)) {
      fail(path, value, 'there is no such folder, and an id of Hugging Face has the form OWNER/NAME');
    }
    return folder ?? value;
  });

  for (const { path, written, found, base } of context.checkFiles ? toCheck : []) {
    if (await exists(found)) continue;
    const elsewhere = resolve(context.cwd, written);
    const remedy =
      base !== context.cwd && (await exists(elsewhere))
        ? `paths in a config start at its folder; write ${relative(base, elsewhere).replaceAll('\\', '/')}`
        : 'check the path';
    fail(path, written, `there is no ${found}; ${remedy}`);
  }
  return { config: withFolders, problems };
}

/** Where caches are by default: sana-train in the folder that this system has for them. */
export function defaultCacheDir(env: Environment, platform: NodeJS.Platform = process.platform): string {
  const home = env['HOME'] ?? homedir();
  const xdg = env['XDG_CACHE_HOME'];
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'sana-train');
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'sana-train');
  if (platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'sana-train', 'cache');
  return join(home, '.cache', 'sana-train');
}
