/** Gives batches by number, in order, and loads the next one while the engine computes. */
export function prefetch<T, R>(
  plan: Iterable<T>,
  first: number,
  load: (value: T, index: number) => Promise<R>,
): (index: number) => Promise<R> {
  const values = plan[Symbol.iterator]();
  let next = first;
  let ahead: Promise<{ readonly batch: R } | undefined> | undefined;
  const start = (index: number): NonNullable<typeof ahead> => {
    const loading = (async () => {
      const { value, done } = values.next();
      return done === true ? undefined : { batch: await load(value, index) };
    })();
    // Its failure is told when it is asked for.
    loading.catch(() => undefined);
    return loading;
  };
  return async (index) => {
    if (index !== next) throw new RangeError(`batches are taken in order: ${next} is next, ${index} was asked for`);
    const current = ahead ?? start(index);
    ahead = undefined;
    next++;
    const loaded = await current;
    if (!loaded) throw new RangeError(`the plan has no batch ${index}`);
    // Who takes this batch shall first set the engine to work on it.
    setImmediate(() => {
      if (next === index + 1) ahead ??= start(next);
    });
    return loaded.batch;
  };
}
