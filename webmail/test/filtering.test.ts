// Which messages that are here a rule means, and what it would do with them.
import { describe, expect, it } from 'vitest'
import { likeOf, ownZone } from '../src/filters/like'
import { fits, isLike, patchOf, searchFor, type Looked } from '../src/filters/matching'
import { faultsOf, newCondition, newRule, type Condition, type Rule } from '../src/filters/rules'
import type { Email, EmailBody } from '../src/jmap/types'

const email: Looked = {
  id: 'M1', size: 2048, receivedAt: '2026-12-01T20:00:00Z', subject: 'Your Invoice [7]', hasAttachment: true,
  from: [{ name: 'Alice Shop', email: 'alice@shop.example' }], to: [{ name: null, email: 'me@example.test' }], cc: [{ name: 'Bob', email: 'bob@Work.example' }],
  'header:X-Kind:asText': 'bill',
} // prettier-ignore
const rule = (...conditions: Condition[]): Rule => ({ ...newRule(), conditions })
const condition = (field: Condition['field'], op: Condition['op'], value = '', more: Partial<Condition> = {}): Condition => ({ ...newCondition(field, value), op, ...more })

describe('looking through messages', () => {
  it.each<[boolean, Condition]>([
    [true, condition('from', 'contains', 'alice shop')],
    [true, condition('from', 'is', 'Alice@Shop.example')],
    [false, condition('from', 'is', 'ice@shop.example')],
    [true, condition('from', 'domain', 'SHOP.example')],
    [false, condition('from', 'domain', 'hop.example')],
    [true, condition('to', 'domain', 'work.example')],
    [true, condition('to', 'is', 'me@example.test')],
    [true, condition('subject', 'matches', '*invoice*[?]')],
    [false, condition('subject', 'matches', 'invoice*')],
    [true, condition('subject', 'is', 'your invoice [7]')],
    [true, condition('header', 'is', 'BILL', { header: 'X-Kind' })],
    [false, condition('header', 'exists', '', { header: 'X-Other' })],
    [true, condition('header', 'exists', '', { header: 'X-Other', not: true })],
    [false, condition('size', 'over', '2K')],
    [true, condition('size', 'over', '1K')],
    [true, condition('size', 'under', '3K')],
    [true, condition('attachment', 'exists')],
    [true, condition('date', 'since', '2026-12-02', { zone: '+0800' })],
    [false, condition('date', 'since', '2026-12-02', { zone: '+0000' })],
    [false, condition('date', 'until', '2026-12-01', { zone: '+0800' })],
    [true, condition('date', 'until', '2026-12-01', { zone: '-0330' })],
  ])('%s: %o', (holds, one) => {
    expect(isLike(rule(one), email)).toBe(holds)
    expect(isLike(rule({ ...one, not: !one.not }), email)).toBe(!holds)
  })
  it('takes all or any', () => {
    const [yes, no] = [condition('subject', 'contains', 'invoice'), condition('subject', 'contains', 'other')]
    expect(isLike(rule(yes, no), email)).toBe(false)
    expect(isLike({ ...rule(yes, no), match: 'any' }, email)).toBe(true)
  })
  it('asks the server alone where its words say the same', () => {
    expect(searchFor(rule(condition('from', 'contains', 'a "b"')))).toMatchObject({ exact: true, filter: { operator: 'AND', conditions: [{ from: '"a \\"b\\""' }] } })
    expect(searchFor(rule(condition('to', 'contains', 'x', { not: true })))?.filter).toEqual({ operator: 'AND', conditions: [{ operator: 'NOT', conditions: [{ operator: 'OR', conditions: [{ to: '"x"' }, { cc: '"x"' }] }] }] })
    expect(searchFor(rule(condition('size', 'over', '1K')))?.filter).toEqual({ operator: 'AND', conditions: [{ minSize: 1025 }] })
    expect(searchFor(rule(condition('date', 'until', '2026-12-01', { zone: '+0800' })))?.filter).toEqual({ operator: 'AND', conditions: [{ before: '2026-12-01T16:00:00Z' }] })
  })
  it('asks for more and looks through it where they do not', () => {
    expect(searchFor(rule(condition('from', 'domain', 'shop.example')))).toMatchObject({ exact: false, filter: { conditions: [{ from: '"@shop.example"' }] } })
    expect(searchFor(rule(condition('header', 'matches', '*bill?', { header: 'X-Kind' })))).toMatchObject({ exact: false, filter: { conditions: [{ header: ['X-Kind', 'bill'] }] } })
    expect(searchFor(rule(condition('header', 'is', 'a', { header: 'X-Kind' })))?.properties).toContain('header:X-Kind:asText')
  })
  it('says so where it cannot be told', () => {
    expect(searchFor(rule(condition('from', 'is', 'a@b.example', { not: true })))).toBeUndefined()
    expect(searchFor(rule(condition('subject', 'matches', '*a*')))).toBeUndefined()
    expect(searchFor(rule(condition('body', 'contains', 'x'), condition('from', 'is', 'a@b.example')))).toBeUndefined()
    expect(searchFor(rule(condition('date', 'since', 'tomorrow', { zone: '+0000' })))).toBeUndefined()
  })
  it('knows patterns, and is not kept busy by one', () => {
    expect([fits('', ''), fits('*', ''), fits('a?c', 'abc'), fits('a?c', 'ac'), fits('\\*', '*'), fits('\\*', 'x'), fits('*a*b', 'xaxxb'), fits('é?', 'é🦊')]).toEqual([true, true, true, false, true, false, true, true])
    const begun = Date.now()
    expect(fits(`${'*a'.repeat(200)}b`, 'a'.repeat(20_000))).toBe(false)
    expect(Date.now() - begun).toBeLessThan(3000)
  })
})

describe('doing to what is here already', () => {
  const to = { inbox: 'F1', trash: 'F9', idOf: () => 'F2' }
  it.each<[Rule['actions'], unknown]>([
    [[{ kind: 'move', folder: { id: 'F2', name: 'x' } }, { kind: 'read' }], { 'keywords/$seen': true, 'mailboxIds/F1': null, 'mailboxIds/F2': true }],
    [[{ kind: 'copy', folder: { id: 'F2', name: 'x' } }], { 'mailboxIds/F2': true }],
    [[{ kind: 'archive', folder: { id: '', name: 'Archive' } }, { kind: 'keep' }], { 'mailboxIds/F2': true }],
    [[{ kind: 'discard' }], { 'mailboxIds/F1': null, 'mailboxIds/F9': true }],
    [[{ kind: 'label', keyword: 'Work' }, { kind: 'star' }], { 'keywords/work': true, 'keywords/$flagged': true }],
    [[{ kind: 'forward', address: 'a@b.example' }], undefined],
    [[{ kind: 'reject', text: 'No' }], undefined],
    [[], undefined],
  ])('%o', (actions, patch) => {
    expect(patchOf({ ...newRule(), actions }, to)).toEqual(patch)
  })
  it('leaves where it is what would go to a folder that is gone', () => {
    expect(patchOf({ ...newRule(), actions: [{ kind: 'move', folder: { id: 'F2', name: 'x' } }] }, { ...to, idOf: () => undefined })).toBeUndefined()
  })
})

describe('a rule for messages like one', () => {
  const like = { subject: 'Hi', from: [{ name: 'Alice', email: 'alice@shop.example' }] } as Email
  const body = (list: string) => ({ headers: [{ name: 'List-ID', value: list }] }) as EmailBody
  it('is about its mailing list', () => {
    expect(likeOf(like, body(' "The Club" <club.example.org>'))).toMatchObject({ name: 'The Club', conditions: [{ field: 'list', op: 'contains', value: 'club.example.org' }] })
  })
  it('is about its sender', () => {
    expect(likeOf(like, body('no id here'))).toMatchObject({ name: 'Alice', conditions: [{ field: 'from', op: 'is', value: 'alice@shop.example' }] })
    expect(likeOf({ ...like, from: null }, undefined)).toMatchObject({ name: '', conditions: [{ field: 'subject', value: 'Hi' }] })
  })
  it('wants a folder yet', () => {
    expect(faultsOf(likeOf(like, undefined))).toEqual([{ why: 'folder', part: 'action', index: 0 }])
  })
  it('knows the reader’s zone', () => {
    expect(ownZone(new Date('2026-12-01T00:00:00Z'))).toMatch(/^[+-]\d{4}$/)
  })
})
