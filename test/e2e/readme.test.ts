import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runCommand } from './run-command.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
};

/** The lines of the Markdown file's code blocks in `language`. */
function codeLines(path: string, language: string): string[] {
  // A block may be indented, in a list.
  const blocks = read(path).matchAll(new RegExp(`^( *)\`\`\`${language}\n([^]*?)^\\1\`\`\``, 'gm'));
  return [...blocks].flatMap(([, , code = '']) => code.trim().split('\n')).map((line) => line.trim());
}

const documents = ['README.md', 'CONTRIBUTING.md', 'docs/README.md', 'docs/architecture.md'];

describe('README.md', () => {
  const commands = codeLines('README.md', 'sh');
  const own = commands.filter((command) => command.startsWith('npx sana-train '));

  it('has commands to run', () => {
    expect(commands[0]).toBe('npm ci');
    expect(own.length).toBeGreaterThan(0);
  });

  it.each(own)('has a command that works: %s', async (command) => {
    const words = [...command.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word).slice(2);
    const folder = await mkdtemp(join(tmpdir(), 'sana-train-readme-'));
    // A training is cut short, and what is written lies in a folder of its own.
    const short = [
      'train.max_train_steps=2',
      'train.lr_warmup_steps=0',
      'sample.every=0',
      `run_dir=${join(folder, 'run')}`,
    ];
    const isTraining = words[0]?.endsWith('.yaml') === true;
    const args = isTraining
      ? [...words, ...short.flatMap((text) => ['--set', text])]
      : words.map((word) => (word.startsWith('out/') ? join(folder, word) : word));
    const { exitCode, stderr } = await runCommand(args, { cwd: root });
    await rm(folder, { recursive: true, force: true });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  it('draws a tree of folders that exist', () => {
    const folders = codeLines('README.md', 'text').map((line) => line.split(/\s/, 1)[0] ?? '');
    expect(folders.length).toBeGreaterThan(10);
    expect(folders.filter((folder) => !existsSync(join(root, folder)))).toEqual([]);
  });

  it('says of every dependency what it is for, and of no other package', () => {
    const explained = [...read('README.md').matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
    expect(new Set(explained)).toEqual(new Set(Object.keys(manifest.dependencies)));
  });
});

describe('the documents', () => {
  it.each(documents)('%s links to files that exist', (path) => {
    const links = [...read(path).matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target = '']) => target);
    const missing = links.filter((link) => !/^https?:/.test(link) && !existsSync(join(root, dirname(path), link)));
    expect(missing).toEqual([]);
  });

  it.each(documents)('%s names scripts of package.json', (path) => {
    const scripts = [...read(path).matchAll(/npm run ([a-z:]+)/g)].map(([, script = '']) => script);
    expect(scripts.filter((script) => manifest.scripts[script] === undefined)).toEqual([]);
  });
});
