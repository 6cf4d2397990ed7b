// The local cache of hub files, laid out as Python's huggingface_hub lays it out, so that both share downloads:
//   models--org--name/refs/<revision>            the commit it pointed to last
//   models--org--name/blobs/<content hash>       the bytes
//   models--org--name/snapshots/<commit>/<file>  links into blobs
// A blob appears under its name only once it is complete and its hash is right.

import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { link, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BallastError } from '../../errors.js';
import { errnoOf } from '../io-error.js';
import { makeDirectories } from '../output/make-directories.js';

export interface RemoteFile {
  readonly name: string;
  readonly bytes: number;
  /** Content hash as the hub gives it: SHA-256 of large files, git's object id of small ones. */
  readonly hash: string;
  readonly hashIsSha256: boolean;
}

type Chunks = AsyncIterable<Uint8Array>;

export class HubCache {
  private readonly root: string;

  constructor(cacheDirectory: string, model: string) {
    this.root = join(cacheDirectory, `models--${model.replaceAll('/', '--')}`);
  }

  snapshot(commit: string): string {
    return join(this.root, 'snapshots', commit);
  }

  /** The snapshot that `revision` pointed to when it was last fetched; undefined when it never was. */
  async lastSnapshot(revision: string): Promise<string | undefined> {
    const commit = await readFile(join(this.root, 'refs', revision), 'utf8').catch(() => revision);
    const path = this.snapshot(commit.trim());
    return (await exists(join(path, 'config.json'))) ? path : undefined;
  }

  async setRevision(revision: string, commit: string): Promise<void> {
    const path = join(this.root, 'refs', revision);
    await makeDirectories(dirname(path));
    await writeFile(path, commit);
  }

  /** Makes `file` present in the snapshot, calling `fetchContent` only if its bytes are nowhere in the cache. */
  async ensure(
    commit: string,
    file: RemoteFile,
    fetchContent: () => Promise<Chunks>,
  ): Promise<void> {
    const pointer = join(this.snapshot(commit), file.name);
    if (await exists(pointer)) return;
    const blob = join(this.root, 'blobs', file.hash);
    await makeDirectories(dirname(blob));
    await makeDirectories(dirname(pointer));
    if (!(await exists(blob))) await download(blob, file, await fetchContent());
    await rm(pointer, { force: true });
    await symlink(relative(dirname(pointer), blob), pointer).catch(async (error: unknown) => {
      // Windows needs a privilege for symbolic links, none for hard ones.
      if (errnoOf(error) === 'EPERM') await link(blob, pointer);
      else if (errnoOf(error) !== 'EEXIST') throw error;
    });
  }
}

async function download(blob: string, file: RemoteFile, content: Chunks): Promise<void> {
  const incomplete = `${blob}.${randomBytes(4).toString('hex')}.incomplete`;
  const hash = createHash(file.hashIsSha256 ? 'sha256' : 'sha1');
  if (!file.hashIsSha256) hash.update(`blob ${file.bytes}\0`);
  let bytes = 0;
  try {
    await pipeline(
      content,
      async function* (chunks: Chunks) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          bytes += chunk.byteLength;
          yield chunk;
        }
      },
      createWriteStream(incomplete),
    );
    if (bytes !== file.bytes || hash.digest('hex') !== file.hash) {
      throw new BallastError(
        'ERR_IO',
        `The download of ${file.name} is damaged (${bytes} of ${file.bytes} bytes received); try again.`,
      );
    }
    await rename(incomplete, blob);
  } catch (error) {
    await rm(incomplete, { force: true });
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
