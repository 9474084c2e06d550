// Pictures of people: a file is read by what is in it, whatever its name says, and kept as a small square without anything else
// that the file held (where it was taken, by which camera).
import { size } from '../design/format'
import { t } from '../i18n/index.svelte'
import type { Square } from './crop'

/** Pixels of a side: twice what is shown largest. */
export const SIDE = 256
/** Octets of a file that is opened: larger than any camera's. */
const MOST_OCTETS = 30_000_000
/** Pixels of a picture that is drawn: four octets each in memory. */
const MOST_PIXELS = 64_000_000
const QUALITY = 0.87
const KIND = 'image/jpeg' // what phones read in a vCard
const HEAD = 16
/** How files of the types in `RASTER` begin. */
const MARKS: readonly RegExp[] = [/^\x89PNG\r\n\x1a\n/, /^\xff\xd8\xff/, /^GIF8[79]a/, /^RIFF[^]{4}WEBP/, /^[^]{4}ftypavi[fs]/]

/** The file cannot become somebody's picture; the message says why, to its chooser. */
export class BadPicture extends Error {
  override name = 'BadPicture'
}

/** The picture in a file, upright as its camera was held. Throws BadPicture. */
export async function readPicture(file: File): Promise<HTMLImageElement> {
  const { name } = file
  if (file.size > MOST_OCTETS) throw new BadPicture(t('picture.too-large', { name, limit: size(MOST_OCTETS) }))
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, HEAD).arrayBuffer()))
  if (!MARKS.some((mark) => mark.test(head))) throw new BadPicture(t('picture.not-one', { name }))
  const address = URL.createObjectURL(file)
  const image = new Image()
  image.alt = name
  try {
    image.src = address
    await new Promise((resolve, reject) => {
      image.onload = resolve
      image.onerror = reject
    })
    if (image.naturalWidth * image.naturalHeight > MOST_PIXELS) throw new BadPicture(t('picture.too-many', { name, n: MOST_PIXELS / 1_000_000 }))
    await image.decode()
    return image
  } catch (fault) {
    throw fault instanceof BadPicture ? fault : new BadPicture(t('picture.broken', { name }))
  } finally {
    URL.revokeObjectURL(address)
  }
}

/** The square of a picture as a file of its own, no larger than `SIDE`. Throws BadPicture. */
export async function cutOut(image: HTMLImageElement, square: Square): Promise<Blob> {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = Math.max(1, Math.min(SIDE, Math.round(square.side)))
  draw(canvas, image, square)
  const made = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, KIND, QUALITY))
  if (!made) throw new BadPicture(t('picture.broken', { name: image.alt }))
  return made
}

/** The square, filling the canvas. What is transparent is white, as on paper. */
export function draw(canvas: HTMLCanvasElement, image: HTMLImageElement, { left, top, side }: Square): void {
  const context = canvas.getContext('2d')
  if (!context) return
  context.imageSmoothingQuality = 'high'
  context.fillStyle = 'white'
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(image, left, top, side, side, 0, 0, canvas.width, canvas.height)
}
