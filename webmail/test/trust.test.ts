// Who sent this: what is read from our own fields, what a stranger cannot say, and what the junk filter's record comes to.
import { describe, expect, it } from 'vitest'
import type { Email, EmailBody } from '../src/jmap/types'
import { namesIn, whatWouldChange, type Judgement } from '../src/trust/judgement'
import { parseResults } from '../src/trust/results'
import { trustOf } from '../src/trust/trust'

const OURS = 'mx.north.test; dkim=pass header.d=south.test header.s=mail; spf=pass smtp.mailfrom=carol@south.test; dmarc=pass (p=reject) header.from=south.test'
const judged = (facts: Judgement['facts'] = [], checks: Judgement['checks'] = [], decision: Judgement['decision'] = 'accept'): Judgement => ({ decision, score: checks.reduce((sum, check) => sum + (check.weight ?? 0), 0), junk_at: 5, refuse_at: 0, checks, facts, would_change: [] })

function trust(fields: [string, string][], { from = 'carol@south.test', name = 'Carol', verdict = null as Judgement | null, replyTo = null as EmailBody['replyTo'] } = {}) {
  const email = { from: [{ name, email: from }] } as Email
  return trustOf(email, { headers: fields.map(([field, value]) => ({ name: field, value })), replyTo, verdict } as EmailBody)
}
const keys = (sayings: { key: string }[]) => sayings.map(({ key }) => key)

describe('findings', () => {
  it('reads methods, what they judged, and the words in comments, the most telling first', () => {
    const { host, findings } = parseResults(' MX.north.test (x; y) 1;\tspf=softfail (no (nested; one) match) smtp.mailfrom="odd;one@x.test"; dmarc=fail reason="why; so"; x-own=pass')
    expect(host).toBe('mx.north.test')
    expect(findings).toEqual([
      { method: 'dmarc', result: 'fail', properties: { reason: 'why; so' }, reason: '' },
      { method: 'spf', result: 'softfail', properties: { 'smtp.mailfrom': 'odd;one@x.test' }, reason: 'no (nested; one) match' },
    ])
  })
  it('reads a mailbox whose local part is quoted, and nothing of a method whose version it does not know', () => {
    const { findings } = parseResults('mx; dkim / 2 = pass header.d=south.test; spf/1=pass smtp.mailfrom="a b"@x.test smtp.helo=y')
    expect(findings).toEqual([{ method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': 'a b@x.test', 'smtp.helo': 'y' }, reason: '' }])
  })
  it.each(['', ';', ';;=;', 'a; dkim', 'a; (', 'a; "', 'a; \\'])('makes nothing of %j', (value) => expect(parseResults(value).findings).toEqual([]))
})

describe('the line', () => {
  it.each<[string, [string, string][], string]>([
    ['believes what stands above the first Received', [['Authentication-Results', OURS], ['Received', 'from x by mx']], 'verified'],
    ['believes nothing below it', [['Received', 'from x by mx.north.test (Posthouse) with ESMTP id 1'], ['Authentication-Results', OURS]], 'unknown'],
    ['knows who logged in', [['Received', 'from localhost (logged in) by mx.north.test (Posthouse) with ESMTPSA id 1']], 'house'],
    ['takes no stranger for one who logged in', [['Received', 'from x (by a (Posthouse) with ESMTPSA id 1) by mx.south.test (Other) with ESMTPSA id 1']], 'unknown'],
    ['says when the domain denies it', [['Authentication-Results', 'mx; dmarc=fail header.from=south.test; spf=pass smtp.mailfrom=a@south.test']], 'failed'],
    ['wants every author proved', [['Authentication-Results', 'mx; dmarc=pass header.from=south.test; dmarc=fail header.from=bank.test']], 'failed'],
    ['takes the very same domain where there is no policy', [['Authentication-Results', 'mx; dmarc=none; dkim=pass header.d=south.test']], 'verified'],
    ['takes it where nobody can read the policy', [['Authentication-Results', 'mx; dmarc=permerror; spf=pass smtp.mailfrom=a@south.test']], 'verified'],
    ['takes no other domain', [['Authentication-Results', 'mx; dmarc=none; dkim=pass header.d=cheap.test; spf=pass smtp.mailfrom=a@cheap.test']], 'unverified'],
    ['does not take an error for a proof', [['Authentication-Results', 'mx; dmarc=temperror; dkim=pass header.d=south.test']], 'unverified'],
  ])('%s', (_, fields, standing) => expect(trust(fields).standing).toBe(standing))

  it('names the host of the house that found it', () => {
    expect(trust([['Authentication-Results', `mx.north.test (found by backup.north.test)${OURS.slice(13)}`], ['Received', 'from backup']])).toMatchObject({ standing: 'verified', results: { host: 'mx.north.test', foundBy: 'backup.north.test' } })
  })
  it('warns of the worst first', () => {
    const verdict = judged([{ fact: 'reply-to-elsewhere', value: 'x@y.test' }, { fact: 'first-contact' }, { fact: 'look-alike', value: 's0uth.test', of: 'south.test' }])
    const found = trust([['Authentication-Results', OURS]], { verdict })
    expect(keys(found.warnings)).toEqual(['trust.fact.look-alike', 'trust.reply-elsewhere'])
    expect(keys(found.notes)).toEqual(['trust.first'])
  })
  it('reads the header itself where nothing was judged', () => {
    const found = trust([], { name: 'Carol carol@south.test', from: 'eve@evil.test', replyTo: [{ name: null, email: 'x@other.test' }] })
    expect(keys(found.warnings)).toEqual(['trust.fact.address-in-name', 'trust.reply-elsewhere'])
  })
  it('says first that it is junk, and why most', () => {
    const verdict = judged([], [{ check: 'dmarc', weight: 1.5 }, { check: 'words', weight: 5.5 }, { check: 'contact', weight: -6 }], 'junk')
    const found = trust([['Authentication-Results', OURS]], { verdict })
    expect([found.standing, found.headline.checks, keys(found.warnings)]).toEqual(['junk', ['words'], ['trust.verified']])
  })
})

describe('what would have changed it', () => {
  const said = (...weights: [string, number][]) => whatWouldChange(judged([], weights.map(([check, weight]) => ({ check, weight })), weights.reduce((sum, [, weight]) => sum + weight, 0) >= 5 ? 'junk' : 'accept')).map(({ key, values, checks }) => [key, values['n'] ?? checks])
  it('accepted: how much is left, and what saved it', () => expect(said(['words', 5.5], ['contact', -6])).toEqual([['trust.change.more', 5.5], ['trust.change.saved', ['contact']]]))
  it('junk: each that alone decides', () => expect(said(['words', 5.5], ['form', 0.5])).toEqual([['trust.change.without', ['words']], ['trust.change.next', undefined]]))
  it('junk: the fewest that decide together', () => expect(said(['words', 5.5], ['block-list', 4], ['policy', 5])).toEqual([['trust.change.without-all', ['words', 'policy']], ['trust.change.next', undefined]]))
  it('nothing where one check decided by itself', () => expect(whatWouldChange({ ...judged([], [{ check: 'clamav', weight: 50 }], 'accept') })).toEqual([]))
  it('finds the names in the evidence', () => expect(namesIn('s0uth.test may be taken for south.test, 12 % of 10.0.0.1 by a@b.test')).toBe('s0uth.test · south.test · 12 % · 10.0.0.1 · a@b.test'))
})
