// Image files with their classes: a directory with a folder for each class, or a text file with a path and a class on
// each line. A class is a name of config.json's id2label or a number; folders of other names are counted in the order of
// their names, as data sets are usually laid out.

import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ioError } from '../checkpoint/io-error.js';
import { BallastError } from '../errors.js';
import type { VisionModel } from '../models/index.js';
import { decodeImage } from './decode.js';
import type { ImageSource } from './image-set.js';
import type { Preprocessing } from './preprocessing.js';

interface LabelledFile {
  readonly path: string;
  readonly label: number;
}

const imageFile = /\.(avif|gif|jpe?g|png|tiff?|webp)$/i;

export async function openFolders(
  path: string,
  preprocessing: Preprocessing,
  model: VisionModel,
): Promise<ImageSource> {
  const entries = await list(path);
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  folders.sort();
  if (folders.length === 0) {
    throw new BallastError(
      'ERR_DATA',
      `Expected a folder for each class in ${path} but it has none; see docs/vision.md for the layout.`,
    );
  }
  const files: LabelledFile[] = [];
  for (const [order, folder] of folders.entries()) {
    const label = labelOfFolder(path, folder, order, folders, model);
    const names = (await list(join(path, folder)))
      .filter((entry) => entry.isFile() && imageFile.test(entry.name))
      .map(({ name }) => name)
      .sort();
    if (names.length === 0) {
      throw new BallastError(
        'ERR_DATA',
        `Expected images in the folder of class '${folder}' in ${path} but it has none; add some or remove it.`,
      );
    }
    files.push(...names.map((name) => ({ path: join(path, folder, name), label })));
  }
  return sourceOf(files, preprocessing);
}

/** Lines `path<tab>class`; relative paths count from the list's own folder. */
export async function openList(
  path: string,
  preprocessing: Preprocessing,
  model: VisionModel,
): Promise<ImageSource> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw ioError(error, 'reading the list of images', path);
  });
  const files: LabelledFile[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [file = '', name = ''] = line.trim().split('\t');
    const label = model.labels.get(name) ?? (/^\d+$/.test(name) ? Number(name) : -1);
    if (label < 0 || label >= model.classes) {
      throw new BallastError(
        'ERR_DATA',
        `Expected a path, a tab and a class of the model on line ${i + 1} of ${path} but received ${JSON.stringify(line.slice(0, 100))}.`,
      );
    }
    files.push({ path: resolve(dirname(path), file), label });
  }
  if (files.length === 0) {
    throw new BallastError('ERR_DATA', `Expected at least one image in ${path} but it lists none.`);
  }
  return sourceOf(files, preprocessing);
}

function labelOfFolder(
  path: string,
  folder: string,
  order: number,
  folders: readonly string[],
  { labels, classes }: VisionModel,
): number {
  // Names of the checkpoint count only if all of them do: a set of folders has one meaning.
  if (folders.every((name) => labels.has(name))) return labels.get(folder) ?? order;
  if (folders.length === classes) return order;
  throw new BallastError(
    'ERR_DATA',
    `Expected ${classes} class folders in ${path}, or folders named like the classes in config.json, but received ` +
      `${folders.length} others, such as '${folder}'.`,
  );
}

async function list(path: string) {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    throw ioError(error, 'listing images', path);
  }
}

function sourceOf(files: readonly LabelledFile[], preprocessing: Preprocessing): ImageSource {
  return {
    labels: Int32Array.from(files, ({ label }) => label),
    read(index) {
      const file = files[index];
      if (file === undefined) throw new RangeError(`No image ${index}.`);
      return decodeImage(file.path, preprocessing);
    },
  };
}
