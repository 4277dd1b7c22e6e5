import { z } from 'zod';

/** What documentation, editors, error messages and resuming need to know about an option beside its type. */
export interface OptionDocs {
  /** What it does, in a sentence or a few. */
  readonly about: string;
  /** Usual values and what changing them does; also shown when a value is refused. */
  readonly usual?: string;
  /** Where the default comes from. */
  readonly source?: string;
  /** The default in words, where it depends on other options. */
  readonly defaultText?: string;
  /** What a value must be, where its type does not say it. */
  readonly expects?: string;
  /**
   * For paths: variables are replaced in them. An `input` starts at the config's folder, an `output` at the working
   * directory; a `model` is an input, or an id of the Hugging Face hub.
   */
  readonly path?: 'input' | 'output' | 'model';
  /** Words that a path option may have in place of a path. */
  readonly words?: readonly string[];
  /** For sections: the key that a plain text stands for, so that `model: X` is `model: { path: X }`. */
  readonly shorthand?: string;
  /** Whether a run may be resumed with another value. */
  readonly mayChange?: true;
  /** Names that other trainers have for it, for whoever looks for those. */
  readonly otherNames?: readonly string[];
  /** What other trainers call its values, by the value. */
  readonly otherWords?: Readonly<Record<string, readonly string[]>>;
}

/** The documentation of every option, by its schema. */
export const optionDocs = z.registry<OptionDocs>();

/** A whole number from 1. */
export const count = z.int().min(1);

/** A whole number from 0. */
export const countFrom0 = z.int().min(0);

/** A number above 0. */
export const positive = z.number().gt(0);

/** A number from 0 to 1. */
export const share = z.number().min(0).max(1);

/** The value that leaves a choice to the model, the data or the machine. */
export const auto = z.literal('auto');

/** A side of a picture in pixels: the autoencoder makes latents of 32 times smaller sides. */
export const side = z.int().min(32).max(8192).multipleOf(32);
