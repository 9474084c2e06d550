// Pictures of contacts: the square that is cut out, which photograph is shown, and whose face a sender gets.
import { afterEach, describe, expect, it } from 'vitest'
import { contacts } from '../src/contacts/contacts.svelte'
import { MOST_ZOOM, moved, squareOf, wholeView, zoomed } from '../src/contacts/crop'
import { faceOf, photoOf, withPhoto } from '../src/contacts/face'
import type { Card } from '../src/contacts/jscontact'

const JPEG = { blobId: 'U1', mediaType: 'image/jpeg' }
const PNG = { blobId: 'K1-p-0', mediaType: 'image/png' }

describe('the square', () => {
  const wide = { width: 400, height: 200 }
  it('begins in the middle and touches two edges', () => expect(squareOf(wide, wholeView(wide))).toEqual({ left: 100, top: 0, side: 200 }))
  it('moves by parts of its side and stays inside', () => {
    expect(squareOf(wide, moved(wide, wholeView(wide), 0.25, 1))).toEqual({ left: 150, top: 0, side: 200 })
    expect(squareOf(wide, moved(wide, wholeView(wide), -9, 0))).toEqual({ left: 0, top: 0, side: 200 })
  })
  it('is enlarged around its middle, within bounds', () => {
    expect(squareOf(wide, zoomed(wide, wholeView(wide), 2))).toEqual({ left: 150, top: 50, side: 100 })
    expect(zoomed(wide, wholeView(wide), 99).zoom).toBe(MOST_ZOOM)
    const corner = moved(wide, zoomed(wide, wholeView(wide), 4), 9, 9)
    expect(squareOf(wide, corner)).toEqual({ left: 350, top: 150, side: 50 })
    expect(squareOf(wide, zoomed(wide, corner, 0))).toEqual({ left: 200, top: 0, side: 200 })
  })
})

describe('the photograph of a card', () => {
  const sound = { kind: 'sound', blobId: 'U2', mediaType: 'image/png' }
  it.each([
    [{ p: { kind: 'photo', ...PNG } }, PNG],
    [{ s: sound, p: { kind: 'photo', ...PNG } }, PNG],
    [{ p: { kind: 'photo', blobId: 'U1', mediaType: 'image/svg+xml' } }, undefined], // may hold scripts
    [{ p: { kind: 'photo', blobId: 'U1', mediaType: 'image/heic' } }, undefined], // few browsers draw it
    [{ p: { kind: 'photo', uri: 'https://elsewhere.test/p.png' } }, undefined], // would tell whom one looks at
    [undefined, undefined],
  ])('of %j is %j', (media, wanted) => expect(photoOf({ media: media as Card['media'] })?.photo).toEqual(wanted))

  it('is put in the place of the one before', () => expect(withPhoto({ media: { s: sound, p: { kind: 'photo', ...PNG } } }, JPEG)).toEqual({ s: sound, p: { kind: 'photo', ...JPEG } }))
  it('takes no other’s place', () => expect(withPhoto({ media: { photo: sound } }, JPEG)).toEqual({ photo: sound, photo1: { kind: 'photo', ...JPEG } }))
  it('is taken away alone', () => {
    expect(withPhoto({ media: { s: sound, p: { kind: 'photo', ...PNG } } }, null)).toEqual({ s: sound })
    expect(withPhoto({ media: { p: { kind: 'photo', ...PNG } } }, null)).toBeNull()
  })
})

describe('the face of a sender', () => {
  const carol = { name: 'C. M.', email: 'Carol@South.test' }
  afterEach(() => contacts.cards.clear())

  it('is that of the contact with the address', () => {
    contacts.cards.set('K1', { id: 'K1', uid: 'u', addressBookIds: {}, name: { full: 'Carol Meier' }, emails: { e: { address: 'carol@south.test' } }, media: { p: { kind: 'photo', ...PNG } } })
    expect(faceOf(carol, false)).toEqual({ name: 'Carol Meier', photo: PNG })
    expect(faceOf(carol, true)).toEqual({ name: 'C. M.', photo: null }) // whoever pretends gets no face
    expect(faceOf({ name: null, email: 'x@y.test' }, false)).toEqual({ name: 'x@y.test', photo: null })
    expect(faceOf(undefined, false)).toEqual({ name: '', photo: null })
  })
})
