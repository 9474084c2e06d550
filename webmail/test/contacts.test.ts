// Contacts: what a list makes of a card, and that the form changes what was changed and nothing else.
import { describe, expect, it } from 'vitest'
import { changesOf, formOf } from '../src/contacts/form'
import { birthdayOf, emailsOf, initials, matches, nameOf, sorted, type Card } from '../src/contacts/jscontact'

const card = (of: Partial<Card>): Card => ({ id: 'C1', uid: 'u1', addressBookIds: { B1: true }, ...of })

describe('a card', () => {
  it.each<[string, Partial<Card>]>([
    ['Carol Meier', { name: { full: ' Carol Meier ' } }],
    ['Carol Meier', { name: { components: [{ kind: 'given', value: 'Carol' }, { kind: 'surname', value: 'Meier' }] } }],
    ['王小明', { name: { components: [{ kind: 'given', value: '小明' }, { kind: 'surname', value: '王' }] } }],
    ['Ming', { nicknames: { n: { name: 'Ming' } }, emails: { e: { address: 'a@b.test' } } }],
    ['Harbour Ltd', { organizations: { o: { name: 'Harbour Ltd' } } }],
    ['a@b.test', { emails: { e: { address: 'a@b.test' } } }],
    ['', {}],
  ])('is called %j', (name, of) => expect(nameOf(card(of))).toBe(name))
  it.each([['Carol Meier', 'CM'], ['王小明', '小明'], ['Łukasz', 'Ł'], ['“Bob” (Sales)', 'BS'], ['', ''], ['🚢 Ship', 'S']])('%s is drawn as %s', (name, wanted) => expect(initials(name)).toBe(wanted))
  it('is found by every word typed, anywhere', () => {
    const carol = card({ name: { full: 'Carol Meier' }, phones: { p: { number: '+49 (40) 123-45' } }, notes: { n: { note: '灯笼' } } })
    expect(['carol', 'MEI car', '4940123', '灯', ''].map((typed) => matches(carol, typed))).toEqual([true, true, true, true, true])
    expect(matches(carol, 'carol bob')).toBe(false)
  })
  it('prefers the preferred address', () => expect(emailsOf(card({ emails: { a: { address: 'a@x.test' }, b: { address: 'b@x.test', pref: 1 } } }))).toEqual(['b@x.test', 'a@x.test']))
  it('sorts by the reader’s own alphabet', () => expect(sorted(['Zoe', 'adam', '王伟', '陈静', 'Émile'].map((full) => card({ name: { full } })), 'zh-CN').map(nameOf).slice(0, 2)).toEqual(['陈静', '王伟']))
  it('may know a birthday without its year', () => expect(birthdayOf(card({ anniversaries: { b: { kind: 'birth', date: { month: 5, day: 7 } } } }))).toBe('--05-07'))
})

describe('the form', () => {
  const whole = card({
    name: { full: 'Carol Meier', components: [{ kind: 'given', value: 'Carol' }] },
    emails: { e1: { address: 'carol@south.test', contexts: { work: true, 'x-own': true }, pref: 1 }, e2: { address: 'c@home.test', contexts: { private: true } } },
    phones: { p1: { number: '+49 40 1', label: 'boat' } },
    addresses: { a1: { full: 'Pier 4', components: [{ kind: 'name', value: 'Pier 4' }], contexts: { private: true } } },
    anniversaries: { w: { kind: 'wedding', date: { year: 2010 } }, b: { kind: 'birth', date: { month: 5, day: 7 } } },
    notes: { n1: { note: 'one' }, n2: { note: 'two' } },
  })
  const form = () => formOf(whole, 'B1')

  it('changes nothing when nothing was changed', () => expect(changesOf(form(), whole)).toEqual({}))
  it('keeps what it does not show', () => {
    const changed = form()
    changed.emails[0] = { ...changed.emails[0]!, value: 'carol@new.test', kind: 'private' }
    expect(changesOf(changed, whole)).toEqual({ emails: { e1: { address: 'carol@new.test', contexts: { 'x-own': true, private: true }, pref: 1 }, e2: { address: 'c@home.test', contexts: { private: true } } } })
  })
  it('drops an address’s parts only when its words were changed', () => {
    const kind = form()
    kind.addresses[0]!.kind = 'work'
    expect(changesOf(kind, whole)).toEqual({ addresses: { a1: { full: 'Pier 4', components: [{ kind: 'name', value: 'Pier 4' }], contexts: { work: true } } } })
    const text = form()
    text.addresses[0]!.value = 'Pier 5'
    expect(changesOf(text, whole)).toEqual({ addresses: { a1: { full: 'Pier 5', contexts: { private: true } } } })
  })
  it('gives new lines keys of their own and leaves empty ones out', () => {
    const changed = form()
    changed.phones.push({ key: '', value: ' 2 ', kind: '' }, { key: '', value: ' ', kind: 'work' }, { key: '', value: '3', kind: 'work' })
    expect(changesOf(changed, whole)).toEqual({ phones: { p1: { number: '+49 40 1', label: 'boat' }, n1: { number: '2' }, n2: { number: '3', contexts: { work: true } } } })
  })
  it('takes away what was emptied, but not what it does not show', () => {
    const changed = { ...form(), name: '', emails: [], birthday: '', note: '' }
    expect(changesOf(changed, whole)).toEqual({ name: null, emails: null, anniversaries: { w: { kind: 'wedding', date: { year: 2010 } } }, notes: { n2: { note: 'two' } } })
  })
  it('makes a card of a new form', () => {
    const made = { ...formOf({}, 'B1'), name: ' 王小明 ', organization: 'Huadong', birthday: '1990-05-17', emails: [{ key: '', value: 'w@h.test', kind: '' as const }] }
    expect(changesOf(made, {})).toEqual({ name: { full: '王小明' }, organizations: { p1: { name: 'Huadong' } }, emails: { n1: { address: 'w@h.test' } }, anniversaries: { birth: { kind: 'birth', date: { '@type': 'PartialDate', year: 1990, month: 5, day: 17 } } } })
  })
})
