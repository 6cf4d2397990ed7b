// What is to be done when a caller's signal fires, by however many jobs at the same time: the signal gets one listener for all of
// them, since from the eleventh on Node warns of a leak; and none once the last of them is over.

/** A place of its own for each, so that the same function may stand there twice. */
type Waiting = Set<{ readonly body: () => void }>;

interface Shared {
  readonly waiting: Waiting;
  readonly fire: () => void;
}

const listening = new WeakMap<AbortSignal, Shared>();

/** Calls `body` when the signal fires, or now if it has, unless what is returned is disposed before. */
export function onAbort(signal: AbortSignal | undefined, body: () => void): Disposable {
  if (signal === undefined || signal.aborted) {
    if (signal !== undefined) body();
    return { [Symbol.dispose]: () => {} };
  }
  const shared = listening.get(signal) ?? listen(signal);
  const own = { body };
  shared.waiting.add(own);
  const forget = () => {
    shared.waiting.delete(own);
    if (shared.waiting.size > 0 || listening.get(signal) !== shared) return;
    listening.delete(signal);
    signal.removeEventListener('abort', shared.fire);
  };
  return { [Symbol.dispose]: forget };
}

function listen(signal: AbortSignal): Shared {
  const waiting: Waiting = new Set();
  const fire = () => {
    for (const { body } of waiting) body();
  };
  const shared = { waiting, fire };
  listening.set(signal, shared);
  signal.addEventListener('abort', fire);
  return shared;
}
