// A model's directory, with the progress of its download as events. The download runs by itself; of what it tells
// while the caller is busy only the latest is kept.

import {
  type DownloadEvent,
  type FetchOptions,
  fetchModel,
} from '../checkpoint/hub/fetch-model.js';

export async function* fetchWithEvents(
  model: string,
  options: FetchOptions,
): AsyncGenerator<DownloadEvent, string> {
  let latest: DownloadEvent | undefined;
  let wake = (_again: true) => {};
  const directory = fetchModel(model, options, (event) => {
    latest = event;
    wake(true);
  });
  for (;;) {
    const told = new Promise<true>((resolve) => {
      wake = resolve;
    });
    const more = await Promise.race([told, directory.then(() => false)]);
    if (latest !== undefined) yield latest;
    latest = undefined;
    if (!more) return directory;
  }
}
