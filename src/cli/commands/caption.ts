import { type Command, Option } from 'commander';

interface CaptionOptions {
  readonly set: readonly string[];
  readonly ui?: 'auto' | 'plain' | 'json';
  readonly edit?: string;
}

/** `sana-train caption CONFIG`: captions and scores only. */
export function define(command: Command): void {
  command
    .argument('<config>', 'a .yaml file with caption.captioners')
    .option(
      '-s, --set <key=value>',
      'overrides an option, such as caption.selection=softmax; repeatable',
      (text, all: readonly string[]) => [...all, text],
      [],
    )
    .addOption(
      new Option('--ui <name>', 'how it is shown: plain lines, or json for programs').choices([
        'auto',
        'plain',
        'json',
      ]),
    )
    .option(
      '--edit <picture>',
      "opens the picture's best caption in $EDITOR, or that of PICTURE:CAPTIONER; what you write there stays",
    )
    .addHelpText(
      'after',
      `
Examples:
  $ sana-train caption dog.yaml
  $ sana-train caption dog.yaml --set caption.write_txt=missing
  $ sana-train caption dog.yaml --edit 01.png
  $ sana-train caption dog.yaml --edit 01.png:caption-pico-brief

Captions go to captions.jsonl as they are made; the same command goes on where it was stopped. captions.html in the
run's folder shows every picture with its captions and scores. The exit code is 1 when a picture lacks a caption.`,
    )
    .action(async (path: string, options: CaptionOptions) => {
      const { runCaption } = await import('../run-caption.ts');
      await runCaption(path, options);
    });
}
