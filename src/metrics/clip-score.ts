/** The cosine of two vectors; 0 where one of them is 0. */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new RangeError(`cosine: ${a.length} and ${b.length} numbers; one CLIP makes both`);
  let [dot, lengthA, lengthB] = [0, 0, 0];
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? 0;
    dot += x * y;
    lengthA += x * x;
    lengthB += y * y;
  }
  return dot === 0 ? 0 : dot / Math.sqrt(lengthA * lengthB);
}

/** CLIPScore as Sana's captions are rated by: 100 x cosine of a picture's and a caption's embeddings, [-100, 100]. */
export function clipScore(picture: Float32Array, caption: Float32Array): number {
  return 100 * cosine(picture, caption);
}
