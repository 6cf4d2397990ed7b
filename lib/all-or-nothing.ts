// Several things that are made one after the other, of which none is wanted without the rest: tensors that are copied to a
// device, say. Those that are there when another cannot be made are disposed at once, and not when they happen to be
// collected, since the memory that they hold may be what the other lacked.

/** Waits for one of them, which is disposed unless all that follows succeeds too. */
export type Own = <T extends Disposable | undefined>(making: T | Promise<T>) => Promise<T>;

/** What `make` makes of things that it has let its argument own. Errors: its own. */
export async function allOrNothing<Result>(make: (own: Own) => Promise<Result>): Promise<Result> {
  const made: (Disposable | undefined)[] = [];
  try {
    return await make(async (making) => {
      const one = await making;
      made.push(one);
      return one;
    });
  } catch (error) {
    for (const one of made) one?.[Symbol.dispose]();
    throw error;
  }
}
