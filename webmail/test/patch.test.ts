// Changes shown before the server knows of them, and the way back.
import { describe, expect, it } from 'vitest'
import { at, changes, inverse, patched } from '../src/store/patch'

const email = { keywords: { $seen: true }, mailboxIds: { inbox: true } }

describe('patches', () => {
  it.each([
    [{ 'keywords/$seen': null }, { keywords: {}, mailboxIds: { inbox: true } }],
    [{ 'keywords/$flagged': true }, { keywords: { $seen: true, $flagged: true }, mailboxIds: { inbox: true } }],
    [{ mailboxIds: { trash: true } }, { keywords: { $seen: true }, mailboxIds: { trash: true } }],
    [{ 'mailboxIds/inbox': null, 'mailboxIds/work': true }, { keywords: { $seen: true }, mailboxIds: { work: true } }],
  ])('%j is applied and turned round', (patch, wanted) => {
    const after = patched(email, patch)
    expect(after).toEqual(wanted)
    expect(patched(after, inverse(email, patch))).toEqual(email)
    expect(changes(email, patch)).toBe(true)
  })
  it('knows when nothing changes', () => {
    expect(changes(email, { 'keywords/$seen': true })).toBe(false)
    expect(changes(email, { mailboxIds: { inbox: true } })).toBe(false)
  })
  it('escapes keys as RFC 6901 wants', () => {
    expect(patched(email, { [at('keywords', 'a/b~c')]: true }).keywords).toEqual({ $seen: true, 'a/b~c': true })
  })
  it('puts off again what is snoozed already', () => {
    expect(changes(email, { mailboxIds: { inbox: true }, snoozed: { until: '2026-12-01T08:00:00Z' } })).toBe(true)
    expect(changes(email, { mailboxIds: { inbox: true }, snoozed: null })).toBe(false)
  })
})
