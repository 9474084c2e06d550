// What is typed into the search field, in both languages.
import { describe, expect, it } from 'vitest'
import { parseDay, parseQuery, toFilter } from '../src/search/query'

const find = (name: string) => ({ inbox: 'm1', 收件箱: 'm1', work: 'm2' })[name.toLowerCase()]
const filter = (text: string) => toFilter(parseQuery(text), find, [])

describe('search', () => {
  it.each([
    ['from:alice', { from: 'alice' }],
    ['发件人：王小明', { from: '王小明' }],
    ['subject:"quarterly report"', { subject: '"quarterly report"' }],
    ['主题:“季度 报告”', { subject: '"季度 报告"' }],
    ['"quarterly report"', { text: '"quarterly report"' }],
    ['“back\\slash said "no"”', { text: '"back\\\\slash said \\"no\\""' }],
    ['"report"', { text: 'report' }],
    ['has:attachment', { hasAttachment: true }],
    ['有:附件', { hasAttachment: true }],
    ['is:unread', { notKeyword: '$seen' }],
    ['是:未读', { notKeyword: '$seen' }],
    ['in:收件箱', { inMailbox: 'm1' }],
    ['larger:2mb', { minSize: 2_000_000 }],
    ['label:urgent', { hasKeyword: 'urgent' }],
    ['label:"To do"', { hasKeyword: 'to_do' }],
    ['标签:“待 办”', { hasKeyword: '待_办' }],
    ['hello', { text: 'hello' }],
    ['驿站', { text: '驿站' }],
    ['10:30', { text: '10:30' }],
    ['https://example.org/a', { text: 'https://example.org/a' }],
    ['in:nowhere', { text: 'nowhere' }],
    ['from: bob', { from: 'bob' }],
    ['主题： 报告', { subject: '报告' }],
    ['subject:"come in: now"', { subject: '"come in: now"' }],
    ['10: 30', { operator: 'AND', conditions: [{ text: '10:' }, { text: '30' }] }],
    ['-from:bob', { operator: 'NOT', conditions: [{ from: 'bob' }] }],
  ])('%s', (text, wanted) => {
    expect(filter(text)).toEqual(wanted)
  })
  it('joins terms and leaves folders out', () => {
    expect(toFilter(parseQuery('from:a 报告'), find, ['trash'])).toEqual({ operator: 'AND', conditions: [{ from: 'a' }, { text: '报告' }, { inMailboxOtherThan: ['trash'] }] })
  })
  it.each([['-in:work'], ['in:nowhere']])('leaves them out where %s names no other', (text) => {
    expect(JSON.stringify(toFilter(parseQuery(text), find, ['trash']))).toContain('{"inMailboxOtherThan":["trash"]}')
  })
  it.each([['2026-11-25'], ['2026/11/25'], ['2026年11月25日']])('reads the day %s', (text) => {
    expect(parseDay(text)).toBe(new Date(2026, 10, 25).toISOString().replace(/\.\d+Z/, 'Z'))
  })
  it.each([['2026-13-01'], ['2026-02-31'], ['soon'], ['']])('refuses the day %s', (text) => {
    expect(parseDay(text)).toBeUndefined()
  })
})
