// Addresses as people write them, and what an answer says.
import { describe, expect, it } from 'vitest'
import { isAddress, parseAddresses } from '../src/compose/addresses'
import { answerSubject, speaksOfAttachment } from '../src/compose/quote'

describe('addresses', () => {
  it.each([
    ['a@b.test', [{ name: null, email: 'a@b.test' }]],
    ['Ann Bee <a@b.test>, c@d.test', [{ name: 'Ann Bee', email: 'a@b.test' }, { name: null, email: 'c@d.test' }]],
    ['"Bee, Ann" <a@b.test>；王小明 <w@h.test>', [{ name: 'Bee, Ann', email: 'a@b.test' }, { name: '王小明', email: 'w@h.test' }]],
    ['a@b.test；c@d.test，e@f.test、g@h.test', ['a@b.test', 'c@d.test', 'e@f.test', 'g@h.test'].map((email) => ({ name: null, email }))],
  ])('%s', (text, wanted) => expect(parseAddresses(text)).toEqual(wanted))
  it.each([['a@b.test', true], ['用户@例子.测试', true], ['a@localhost', true], ['a', false], ['a@', false], ['a b@c.test', false], ['a@b..test', false]])('%s: %s', (text, wanted) => expect(isAddress(text)).toBe(wanted))
})

describe('answers', () => {
  it.each([['Plan', 'Re: Plan'], ['RE: Fwd: Plan', 'Re: Plan'], ['回复：答复: 计划', 'Re: 计划'], ['Re[2]: Plan', 'Re: Plan'], ['Regarding', 'Re: Regarding'], [null, 'Re: ']])('%s', (subject, wanted) => expect(answerSubject(subject, 'Re: ')).toBe(wanted))
  it.each([['See the attached file', true], ['请查收附件', true], ['> see attached\nThanks', false], ['Attack at dawn', false]])('%s speaks of an attachment: %s', (text, wanted) => expect(speaksOfAttachment(text)).toBe(wanted))
})
