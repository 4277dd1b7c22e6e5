/** Gives batches by number, in order, and loads the next one while the engine computes. */
export function prefetch<T, R>(
  plan: Iterable<T>,
  first: number,
  load: (value: T, index: number) => Promise<R>,
): (index: number) => Promise<R> {
  const values = plan[Symbol.iterator]();
  let next = first;
  let ahead: Promise<R> | undefined;
  const start = (): Promise<R> | undefined => {
    const { value, done } = values.next();
    if (done) return undefined;
    const loading = load(value, next++);
    // Its failure is told when it is asked for.
    loading.catch(() => undefined);
    return loading;
  };
  return async (index) => {
    const current = ahead ?? start();
    if (!current || index !== next - 1)
      throw new RangeError(`batches are taken in order: ${next - 1} is next, ${index} was asked for`);
    const result = await current;
    ahead = start();
    return result;
  };
}
