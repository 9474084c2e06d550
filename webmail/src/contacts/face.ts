// How a person is drawn: by the picture of a contact, else by initials.
import type { EmailAddress, Id } from '../jmap/types'
import { contacts } from './contacts.svelte'
import { nameOf, type Card } from './jscontact'

/** A picture as the server keeps it. */
export interface Photo {
  blobId: Id
  mediaType: string
}
export interface Face {
  name: string
  photo: Photo | null
}
/** What every browser draws and nothing can run in: no SVG, no HEIC. */
export const RASTER: readonly string[] = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif']

/** Key and picture of the photograph that is shown of a card (RFC 9553 §2.6.4). */
export function photoOf({ media }: Partial<Card>): { key: string; photo: Photo } | undefined {
  for (const [key, { kind, blobId, mediaType = '' }] of Object.entries(media ?? {})) {
    if (kind === 'photo' && blobId && RASTER.includes(mediaType)) return { key, photo: { blobId, mediaType } }
  }
  return undefined
}
/** The media of a card with another photograph in the place of the one that was shown; null takes it away. */
export function withPhoto(card: Partial<Card>, photo: Photo | null): Card['media'] | null {
  const media = { ...card.media }
  const shown = photoOf(card)
  if (shown) delete media[shown.key]
  let key = shown?.key ?? 'photo'
  while (key in media) key += '1'
  if (photo) media[key] = { kind: 'photo', ...photo }
  return Object.keys(media).length ? media : null
}

export function faceOfCard(card: Card): Face {
  return { name: nameOf(card), photo: photoOf(card)?.photo ?? null }
}
/** The face of whoever is named as a sender. In doubt whether it is them, a contact's picture would lend a stranger their face. */
export function faceOf(person: EmailAddress | undefined, doubtful: boolean): Face {
  const card = person && !doubtful ? contacts.byEmail(person.email) : undefined
  const known = card && faceOfCard(card)
  return { name: known?.name || person?.name?.trim() || person?.email || '', photo: known?.photo ?? null }
}
