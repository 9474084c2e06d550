// Where is my mail: the server's lines taken apart, and the stations they come to.
import { describe, expect, it } from 'vitest'
import type { EmailSubmission } from '../src/jmap/types'
import { told, type Journey } from '../src/track/journey'
import { stateOf, stationsOf } from '../src/track/stations'

describe('a line of the timeline', () => {
  it.each([
    ['mx.south.test[127.0.0.20]:14096 TLSv1.3 TLS_AES_256_GCM_SHA384 250 2.0.0 Accepted, id 1a2', { host: 'mx.south.test', tls: 'TLSv1.3 TLS_AES_256_GCM_SHA384', says: '250 2.0.0 Accepted, id 1a2', gaveUp: false }],
    ['mx.south.test[2001:db8::1]:25 250 ok', { host: 'mx.south.test', tls: '', says: '250 ok', gaveUp: false }],
    ['given up: mx.south.test[127.0.0.20] TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 451 4.3.0 later', { host: 'mx.south.test', tls: 'TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256', says: '451 4.3.0 later', gaveUp: true }],
    ['mx.south.test[127.0.0.20]:25: 421 4.4.1 it broke', { host: 'mx.south.test', tls: '', says: '421 4.4.1 it broke', gaveUp: false }],
    ['550 5.1.2 The domain does not exist', { host: '', tls: '', says: '550 5.1.2 The domain does not exist', gaveUp: false }],
    ['alice@north.test INBOX uid 1', { host: '', tls: '', says: 'alice@north.test INBOX uid 1', gaveUp: false }],
    ['', { host: '', tls: '', says: '', gaveUp: false }],
  ])('%s', (detail, wanted) => expect(told(detail)).toEqual(wanted))
})

describe('stations', () => {
  const email = { sentAt: '2026-11-25T18:00:00Z', receivedAt: '2026-11-25T18:00:01Z' }
  const event = (kind: string, at: number, detail = '', address = 'carol@south.test') => ({ kind, at, detail, address })
  const journey = (state: string, queue: Partial<Journey['recipients'][0]['queue']> | null, ...events: ReturnType<typeof event>[]): Journey => ({
    traceId: 't', at: 10, events, recipients: [{ address: 'carol@south.test', state, events: events.filter((each) => each.address === 'carol@south.test'), queue: queue as never }],
  })
  const titles = (way: Journey | undefined, submission?: Partial<EmailSubmission>) => stationsOf(email, submission as EmailSubmission, 'Carol@South.test', way).map(({ title }) => title.slice(6))

  it('tells each attempt with its reply and TLS, and when the next is', () => {
    const way = journey('waiting', { attempts: 1, nextAttemptAt: 99 }, event('queued', 10), event('attempted', 20, 'mx1.south.test[::1]:25: 421 4.4.1 no answer', 'bob@south.test'), event('deferred', 20, 'mx2.south.test[::2]:25 TLSv1.3 X 451 4.3.0 full'), event('attempted', 30, 'mx1.other.test: 421 not ours', 'x@other.test'))
    const stations = stationsOf(email, undefined, 'carol@south.test', way)
    expect(stations.slice(2)).toEqual([
      { title: 'track.attempt-failed', values: { host: 'mx1.south.test' }, state: 'tried', at: 20_000, says: '421 4.4.1 no answer' },
      { title: 'track.attempt-failed', values: { host: 'mx2.south.test' }, state: 'tried', at: 20_000, says: '451 4.3.0 full', tls: 'TLSv1.3 X' },
      { title: 'track.retry', values: {}, state: 'waiting', when: 99_000 },
    ])
    expect(stateOf(stations)).toBe('waiting')
  })
  it('ends where it was handed over, put into a mailbox here, or refused', () => {
    expect(titles(journey('delivered', null, event('delivered', 20, 'mx.south.test[::1]:25 250 ok')))).toEqual(['written', 'accepted', 'delivered-to'])
    expect(titles(journey('delivered', null, event('delivered', 20, 'carol@south.test INBOX uid 1')))).toEqual(['written', 'accepted', 'delivered-here'])
    expect(titles(journey('failed', null, event('failed', 20, '550 5.1.2 no such domain')))).toEqual(['written', 'accepted', 'failed'])
    expect(titles(journey('failed', null, event('failed', 20, 'given up: mx.south.test[::1]:25 451 full')))).toEqual(['written', 'accepted', 'given-up'])
  })
  it('waits in the queue, is held, or is just leaving', () => {
    expect(titles(journey('waiting', { attempts: 0 }))).toEqual(['written', 'accepted', 'queued'])
    expect(titles(journey('held', { attempts: 0 }))).toEqual(['written', 'accepted', 'stopped'])
    expect(titles(journey('leased', { attempts: 2 }))).toEqual(['written', 'accepted', 'leaving'])
  })
  it('can be taken back while it is pending, and says when it was', () => {
    expect(titles(undefined, { undoStatus: 'pending', sendAt: '2026-11-25T18:00:10Z' })).toEqual(['written', 'accepted', 'held'])
    expect(titles(undefined, { undoStatus: 'canceled' })).toEqual(['written', 'cancelled'])
  })
  it('tells what the submission knows where no journey is kept, and that it was opened', () => {
    const status = (delivered: string, displayed = 'unknown') => ({ undoStatus: 'final', deliveryStatus: { 'carol@south.test': { smtpReply: '250 ok', delivered, displayed } } }) as unknown as EmailSubmission
    expect(titles(undefined, status('no'))).toEqual(['written', 'accepted', 'failed'])
    expect(titles(undefined, status('unknown', 'yes'))).toEqual(['written', 'accepted', 'delivered', 'displayed'])
    expect(stateOf(stationsOf(email, status('queued'), 'carol@south.test', undefined))).toBe('waiting')
  })
})
