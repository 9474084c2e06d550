// A card as a form, and back: only what was changed is sent, so that properties that the form does not show stay as they are.
import { photoOf, withPhoto, type Photo } from './face'
import { addressText, birthdayOf, nameOf, organizationOf, values, type Card } from './jscontact'

export type Kind = '' | 'work' | 'private'
export interface Line {
  /** Its key in the card; empty: new. */
  key: string
  value: string
  kind: Kind
}
export interface Form {
  photo: Photo | null
  name: string
  organization: string
  title: string
  emails: Line[]
  phones: Line[]
  addresses: Line[]
  birthday: string
  note: string
  addressBookId: string
}
type Contexts = { contexts?: Record<string, boolean> }

export function formOf(card: Partial<Card>, addressBookId: string): Form {
  const whole = { id: '', uid: '', addressBookIds: {}, ...card } as Card
  const lines = <T extends Contexts>(of: Record<string, T> | undefined, value: (part: T) => string): Line[] => Object.entries(of ?? {}).map(([key, part]) => ({ key, value: value(part), kind: kindOf(part) }))
  const known = card.name ? nameOf({ ...whole, nicknames: {}, organizations: {}, emails: {}, phones: {} }) : ''
  return {
    photo: photoOf(card)?.photo ?? null,
    name: known,
    organization: organizationOf(whole),
    title: values(whole.titles)[0]?.name ?? '',
    emails: lines(whole.emails, ({ address }) => address),
    phones: lines(whole.phones, ({ number }) => number),
    addresses: lines(whole.addresses, addressText),
    birthday: birthdayOf(whole),
    note: values(whole.notes)[0]?.note ?? '',
    addressBookId: Object.keys(whole.addressBookIds)[0] ?? addressBookId,
  }
}
function kindOf({ contexts }: Contexts): Kind {
  return contexts?.['work'] ? 'work' : contexts?.['private'] ? 'private' : ''
}

/** The properties that differ from the card; null takes one away. */
export function changesOf(form: Form, card: Partial<Card>): Record<string, unknown> {
  const before = formOf(card, form.addressBookId)
  const changed: Record<string, unknown> = {}
  const differs = (name: keyof Form) => JSON.stringify(form[name]) !== JSON.stringify(before[name])
  const one = (name: keyof Card, of: Record<string, object> | undefined, made: (old: object) => object, empty: boolean) => {
    const [key = 'p1', old = {}] = Object.entries(of ?? {})[0] ?? []
    const rest = Object.fromEntries(Object.entries(of ?? {}).slice(1))
    const next = empty ? rest : { [key]: made(old), ...rest }
    changed[name] = Object.keys(next).length ? next : null
  }
  if (differs('photo')) changed['media'] = withPhoto(card, form.photo)
  if (differs('name')) changed['name'] = form.name.trim() ? { full: form.name.trim() } : null
  if (differs('organization')) one('organizations', card.organizations, (old) => ({ ...old, name: form.organization.trim() }), !form.organization.trim())
  if (differs('title')) one('titles', card.titles, (old) => ({ ...old, name: form.title.trim() }), !form.title.trim())
  if (differs('note')) one('notes', card.notes, (old) => ({ ...old, note: form.note.trim() }), !form.note.trim())
  if (differs('emails')) changed['emails'] = parts(form.emails, card.emails, (value) => ({ address: value }))
  if (differs('phones')) changed['phones'] = parts(form.phones, card.phones, (value) => ({ number: value }))
  if (differs('addresses')) changed['addresses'] = parts(form.addresses, card.addresses, (value) => ({ full: value }), ['components', 'isOrdered', 'defaultSeparator'])
  if (differs('birthday')) changed['anniversaries'] = anniversaries(form.birthday, card.anniversaries)
  if (differs('addressBookId')) changed['addressBookIds'] = { [form.addressBookId]: true }
  return changed
}

/** Lines as the parts of a card; an old part keeps what the form does not show, but for `stale` where its value was changed. */
function parts(lines: Line[], of: Record<string, object> | undefined, made: (value: string) => object, stale: string[] = []): object | null {
  const all: Record<string, object> = {}
  let next = 1
  for (const line of lines) {
    const value = line.value.trim()
    if (!value) continue
    while (!line.key && (`n${next}` in all || `n${next}` in (of ?? {}))) next++
    const { contexts, ...old } = (line.key ? (of?.[line.key] ?? {}) : {}) as Contexts
    const { work: _work, private: _private, ...others } = contexts ?? {}
    const wanted = { ...others, ...(line.kind ? { [line.kind]: true } : {}) }
    const fresh = made(value)
    const same = Object.entries(fresh).every(([name, text]) => (old as Record<string, unknown>)[name] === text)
    const kept = same ? old : Object.fromEntries(Object.entries(old).filter(([name]) => !stale.includes(name)))
    all[line.key || `n${next}`] = { ...kept, ...fresh, ...(Object.keys(wanted).length ? { contexts: wanted } : {}) }
  }
  return Object.keys(all).length ? all : null
}

function anniversaries(birthday: string, of: Card['anniversaries']): object | null {
  const others = Object.fromEntries(Object.entries(of ?? {}).filter(([, { kind }]) => kind !== 'birth'))
  const match = /^(?:(\d{4})|-)-(\d\d)-(\d\d)$/.exec(birthday)
  if (!match) return Object.keys(others).length ? others : null
  const date = { '@type': 'PartialDate', ...(match[1] ? { year: Number(match[1]) } : {}), month: Number(match[2]), day: Number(match[3]) }
  return { ...others, birth: { kind: 'birth', date } }
}
