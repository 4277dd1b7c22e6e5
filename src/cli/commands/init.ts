import { createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';

import type { Command } from 'commander';

interface InitOptions {
  readonly model: string;
  readonly prompt?: string;
  readonly word: string;
  readonly output?: string;
  readonly force: boolean;
}

/** A path as a config in `folder` says it: relative where that is shorter than up to the root, with forward slashes. */
export function pathFrom(folder: string, path: string): string {
  const way = relative(folder, path);
  const text =
    way === '' ? '.' : isAbsolute(way) || way.split(/[/\\]/).filter((part) => part === '..').length > 4 ? path : way;
  return text.replaceAll('\\', '/');
}

async function writeConfig(
  photos: string,
  options: InitOptions,
): Promise<{ readonly path: string; readonly summary: string }> {
  const { access } = await import('node:fs/promises');
  const { listFiles } = await import('../../../datasets/list-files.ts');
  const { openCaptions } = await import('../../../datasets/find-captions.ts');
  const { isPictureName } = await import('../../../datasets/scan-picture.ts');
  const { loadConfig } = await import('../../config/load-config.ts');
  const { UserError } = await import('../../errors.ts');
  const { writeText } = await import('../../io/atomic-write.ts');
  const { starterConfig } = await import('../starter-config.ts');

  const folder = resolve(photos);
  const { files } = await listFiles(folder);
  const pictures = files.filter(isPictureName);
  if (pictures.length === 0) {
    throw new UserError(`${photos} holds no pictures; name a folder with jpeg, png, webp, avif, tiff or gif files.`);
  }
  const path = options.output ?? `${basename(folder)}.yaml`;
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists && !options.force) {
    throw new UserError(`${path} exists already; name another file with --output, or overwrite it with --force.`);
  }
  const captions = await openCaptions({ folder, files });
  let captioned = 0;
  for (const name of pictures) if ((await captions.find(name)).captions.some(({ text }) => text !== '')) captioned++;

  const text = starterConfig({
    model: options.model,
    docs: pathFrom(
      dirname(resolve(path)),
      join(dirname(createRequire(import.meta.url).resolve('sana-train/package.json')), 'docs'),
    ),
    path: pathFrom(dirname(resolve(path)), folder),
    pictures: pictures.length,
    captioned,
    instancePrompt: options.prompt ?? `a photo of ${options.word}`,
    triggerWord: options.word,
  });
  await writeText(resolve(path), text);
  const { warnings } = await loadConfig(path);
  const summary = [
    `${path}: ${pictures.length} pictures, ${captioned} of them with captions, for ${options.model}.`,
    ...(options.prompt === undefined && captioned < pictures.length
      ? [`Say in instance_prompt what they show, such as "a photo of ${options.word} dog".`]
      : []),
    ...warnings,
  ];
  return { path, summary: summary.join('\n') };
}

/** `sana-train init PHOTOS`: writes a config for a folder of pictures. */
export function define(command: Command): void {
  command
    .argument('<photos>', 'a folder of pictures, 5 to 20 for a subject')
    .option(
      '-m, --model <name>',
      'a Hugging Face id, a folder, or sana-pico',
      'Efficient-Large-Model/Sana_600M_512px_diffusers',
    )
    .option('-p, --prompt <text>', 'the caption of pictures without one, such as "a photo of sks dog"')
    .option('-w, --word <word>', 'the trigger word', 'sks')
    .option('-o, --output <file>', "the config to write (default: the folder's name, here)")
    .option('--force', 'overwrite a file that is there', false)
    .addHelpText(
      'after',
      `
Examples:
  $ sana-train init photos/rex --prompt "a photo of sks dog"
  $ sana-train init photos/rex --model sana-pico --output rex.yaml`,
    )
    .action(async (photos: string, options: InitOptions) => {
      const { path, summary } = await writeConfig(photos, options);
      process.stdout.write(`${summary}\nTrain with: sana-train ${path}\n`);
    });
}
