// What moves say to the junk filter.
import { describe, expect, it } from 'vitest'
import { saidOfJunk } from '../src/mail/sorting'

const lying = (...boxes: string[]) => ({ keywords: {}, mailboxIds: Object.fromEntries(boxes.map((box) => [box, true])) })
const JUNK = { 'keywords/$junk': true, 'keywords/$notjunk': null }
const GOOD = { 'keywords/$junk': null, 'keywords/$notjunk': true }

describe('moves', () => {
  it.each([
    [['inbox'], 'junk', JUNK],
    [['trash'], 'junk', JUNK],
    [['junk'], 'inbox', GOOD],
    [['junk'], 'trash', {}], // thrown away, not kept
    [['inbox'], 'trash', {}],
    [['trash'], 'inbox', {}],
  ])('from %j to %s', (from, to, words) => expect(saidOfJunk(lying(...from), { mailboxIds: { [to]: true } }, to, { junk: 'junk', trash: 'trash' })).toEqual(words))
  it('says nothing of what stays in Junk', () => expect(saidOfJunk(lying('junk', 'work'), { 'mailboxIds/work': null, 'mailboxIds/inbox': true }, 'inbox', { junk: 'junk' })).toEqual({}))
  it('says nothing where there is no Junk folder', () => expect(saidOfJunk(lying('inbox'), { mailboxIds: { work: true } }, 'work', {})).toEqual({}))
})
