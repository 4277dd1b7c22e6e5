import { cosine } from './cosine.ts';

/** CLIPScore as Sana's captions are rated by: 100 x cosine of a picture's and a caption's embeddings, [-100, 100]. */
export function clipScore(picture: Float32Array, caption: Float32Array): number {
  return 100 * cosine(picture, caption);
}
