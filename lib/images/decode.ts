// Bytes of an image file → pixels of the size that preprocessing asks for, through sharp. It is an optional peer of this
// package, since only directories of images need it: loaded when first asked for.

import type { Sharp } from 'sharp';
import { BallastError } from '../errors.js';
import type { Preprocessing } from './preprocessing.js';

/** [height, width, channels] bytes. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

type SharpModule = typeof import('sharp')['default'];
let loading: Promise<SharpModule> | undefined;

function loadSharp(): Promise<SharpModule> {
  loading ??= import('sharp').then(
    (module) => module.default,
    (cause: unknown) => {
      throw new BallastError(
        'ERR_UNSUPPORTED',
        'Expected the package sharp, which decodes image files, but it cannot be loaded; install it with: npm install sharp.',
        { cause },
      );
    },
  );
  return loading;
}

/** Decodes, converts to RGB and resizes. Errors: ERR_DATA, naming the file, for what is no image. */
export async function decodeImage(path: string, preprocessing: Preprocessing): Promise<Pixels> {
  const sharp = await loadSharp();
  try {
    return await resized(
      sharp(path, { failOn: 'error' }).toColourspace('srgb').removeAlpha(),
      preprocessing,
    );
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Resizes pixels that are decoded already. */
export async function resizePixels(
  { data, height, width }: Pixels,
  preprocessing: Preprocessing,
): Promise<Pixels> {
  const sharp = await loadSharp();
  const channels = 3;
  return resized(sharp(data, { raw: { width, height, channels } }), preprocessing);
}

async function resized(image: Sharp, { resize, crop }: Preprocessing): Promise<Pixels> {
  let { width, height } = await image.metadata();
  if (resize !== undefined) {
    const { size, kernel } = resize;
    const ratio = typeof size === 'number' ? size / Math.min(width, height) : 0;
    const side = (length: number) =>
      length === Math.min(width, height) ? (size as number) : Math.floor(length * ratio);
    const target = typeof size === 'number' ? { width: side(width), height: side(height) } : size;
    image.resize({ ...target, kernel, fit: 'fill', fastShrinkOnLoad: false });
    ({ width, height } = target);
  }
  if (crop !== undefined) {
    const left = Math.floor((width - crop.width) / 2);
    const top = Math.floor((height - crop.height) / 2);
    image.extract({ left, top, ...crop });
  }
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { data, height: info.height, width: info.width };
}

function unreadable(path: string, error: unknown): BallastError {
  const reason = error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error);
  return new BallastError(
    'ERR_DATA',
    `Expected an image in ${path} but it cannot be read: ${reason}; remove it or fetch it again.`,
    { cause: error },
  );
}
