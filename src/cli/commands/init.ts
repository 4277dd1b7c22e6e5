import type { Command } from 'commander';

import type { InitOptions } from '../run-init.ts';

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
    .option('-o, --out <file>', "the config to write (default: the folder's name, here)")
    .addHelpText(
      'after',
      `
Looks at the pictures: how many, how large, whether they have captions. Proposes resolution, steps and prompts, each
with a comment. Never overwrites a file.

Examples:
  $ sana-train init photos/rex --prompt "a photo of sks dog"
  $ sana-train init photos/rex --model sana-pico --out rex.yaml`,
    )
    .action(async (photos: string, options: InitOptions) => {
      const { runInit } = await import('../run-init.ts');
      await runInit(photos, options);
    });
}
