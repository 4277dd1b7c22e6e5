import { z } from 'zod';

import { createRandom } from '../../src/random.ts';
import json from './vocabulary.json' with { type: 'json' };

/** What a picture of the pico world shows, by the names that the probe has for it. */
export const heads = ['animal', 'coat', 'pattern', 'accessory', 'cloth', 'emblem', 'pose', 'background'] as const;

/** One of {@link heads}. */
export type Head = (typeof heads)[number];

/** A class for every head: what a prompt asks for, or what the probe reads. `cloth` is the accessory's colour. */
export type Scene = Readonly<Record<Head, string>>;

const names = z.array(z.string()).min(1);

/** The world of tools/pico/world.py, exported by export_vocabulary.py. */
export const vocabulary = z
  .object({
    heads: z.record(z.enum(heads), names),
    /** How a prompt says each background. */
    places: z.record(z.string(), z.string()),
    /** Pairs of classes that were never seen together. */
    heldOut: z.array(z.partialRecord(z.enum(heads), z.string())),
    /** What examples/dog shows. */
    subject: z.record(z.enum(heads).exclude(['pose']), z.string()),
  })
  .parse(json);

/** A picture to make and what should be seen in it. */
export interface ScoredPrompt {
  readonly prompt: string;
  readonly seed: number;
  /** Classes that the prompt names, and that the picture must show. */
  readonly expected: Partial<Scene>;
}

/** Whether a scene holds a combination that was kept from every training. */
export function isHeldOut(scene: Scene): boolean {
  return vocabulary.heldOut.some((pair) => heads.every((head) => scene[head] === (pair[head] ?? scene[head])));
}

/**
 * A scene, every class equally likely but for the ones that are `fixed`, and none that is held out.
 * @param name names the scene: it alone decides which one comes, whatever else is drawn
 */
export function drawScene(name: string, fixed: Partial<Record<Head, readonly string[]>> = {}): Scene {
  const random = createRandom(`pico-score/${name}`);
  const pick = (head: Head): string => {
    const choices = fixed[head] ?? vocabulary.heads[head];
    return choices[random.integer(choices.length)] ?? '';
  };
  for (;;) {
    const [animal, coat, pattern, accessory] = [pick('animal'), pick('coat'), pick('pattern'), pick('accessory')];
    const [cloth, emblem, pose, background] = [pick('cloth'), pick('emblem'), pick('pose'), pick('background')];
    const scene = { animal, coat, pattern, accessory, cloth, emblem, pose, background };
    if (!isHeldOut(scene)) return scene;
  }
}

/** The complete, unadorned prompt of a scene; the same as plain_prompt of tools/pico/world.py. */
export function plainPrompt({ animal, coat, pattern, accessory, cloth, emblem, pose, background }: Scene): string {
  const subject = [coat, ...(pattern === 'plain' ? [] : [pattern]), animal].join(' ');
  const worn = accessory === 'glasses' ? `${cloth} glasses` : withArticle(`${cloth} ${accessory}`);
  return [
    withArticle(subject),
    pose,
    ...(accessory === 'none' ? [] : [`wearing ${worn}`]),
    ...(emblem === 'none' ? [] : [`with ${withArticle(emblem)} on its belly`]),
    placeOf(background),
  ].join(' ');
}

function withArticle(words: string): string {
  return `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`;
}

function placeOf(background: string): string {
  return vocabulary.places[background] ?? '';
}

/** What of a scene its prompt says: a plain coat, no accessory and no emblem are left unsaid, and so is left open. */
function said(scene: Scene): Partial<Scene> {
  const { pattern, accessory, cloth, emblem, ...always } = scene;
  return {
    ...always,
    ...(pattern !== 'plain' && { pattern }),
    ...(accessory !== 'none' && { accessory, cloth }),
    ...(emblem !== 'none' && { emblem }),
  };
}

/** Prompts that say all that is measured; the first ones are the same for every count. */
export function basePrompts(count: number): ScoredPrompt[] {
  return Array.from({ length: count }, (_, seed) => {
    const scene = drawScene(`base/${seed}`);
    return { prompt: plainPrompt(scene), seed, expected: said(scene) };
  });
}

/** Seeds of the other sets begin where those of the base prompts cannot come. */
const subjectSeeds = 1_000_000;
const priorSeeds = 2_000_000;

/** The subject's instance prompt on each background that it was not drawn on, one after the other, again and again. */
export function subjectPrompts(count: number): ScoredPrompt[] {
  const { subject } = vocabulary;
  const unseen = vocabulary.heads.background.filter((background) => background !== subject.background);
  return Array.from({ length: count }, (_, i) => {
    const background = unseen[i % unseen.length] ?? '';
    return {
      prompt: `a photo of sks ${subject.animal} ${placeOf(background)}`,
      seed: subjectSeeds + i,
      expected: { ...subject, background },
    };
  });
}

/** Class prompts without the trigger word: dogs by turns with other animals, of coats that they were seen with. */
export function priorPrompts(count: number): ScoredPrompt[] {
  const own = vocabulary.subject.animal;
  const others = vocabulary.heads.animal.filter((animal) => animal !== own);
  return Array.from({ length: count }, (_, i) => {
    const { animal, coat, background } = drawScene(`prior/${i}`, { animal: i % 2 === 0 ? [own] : others });
    return {
      prompt: `a photo of ${withArticle(`${coat} ${animal}`)} ${placeOf(background)}`,
      seed: priorSeeds + i,
      expected: { animal, coat, background },
    };
  });
}
