/** The cosine of two vectors; 0 where one of them is 0. @throws RangeError when their lengths differ */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new RangeError(`cosine: ${a.length} and ${b.length} numbers`);
  let [dot, lengthA, lengthB] = [0, 0, 0];
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? 0;
    dot += x * y;
    lengthA += x * x;
    lengthB += y * y;
  }
  return dot === 0 ? 0 : dot / Math.sqrt(lengthA * lengthB);
}
