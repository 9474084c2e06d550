// The account's contacts (RFC 9610), kept in step by /changes, and whom it has written to; remembered on the device.
import { SvelteMap } from 'svelte/reactivity'
import { Refused } from '../jmap/client'
import type { ChangesResponse, Id, QueryResponse } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import type { AddressBook, Card, Learnt } from './jscontact'

export const CONTACTS = 'urn:ietf:params:jmap:contacts'
const OWN = 'urn:posthouse:params:jmap:account'
const PAGE = 250
const MOST = 20_000
const KEPT = 'contacts'

interface Kept {
  state: string
  cards: Card[]
  books: AddressBook[]
  learnt: Learnt[]
}

class Contacts {
  readonly cards = new SvelteMap<Id, Card>()
  books = $state.raw<AddressBook[]>([])
  learnt = $state.raw<Learnt[]>([])
  ready = $state(false)
  failed = $state(false)
  private readonly byAddress = $derived.by(() => new Map([...this.cards.values()].flatMap((card) => Object.values(card.emails ?? {}).map(({ address }) => [address.toLowerCase(), card]))))
  private state = ''
  private loading: Promise<void> | undefined
  private next: Promise<void> | undefined

  /** Load what is not here yet, and what has changed since. Calls during one under way wait for one more, which knows what came meanwhile. */
  load(): Promise<void> {
    if (this.loading) {
      const again = () => {
        this.next = undefined
        return this.load()
      }
      this.next ??= this.loading.then(again, again)
      return this.next
    }
    this.loading = this.loadNow()
      .catch((fault: unknown) => {
        this.failed = !this.ready
        mail.meet(fault)
      })
      .finally(() => (this.loading = undefined))
    return this.loading
  }

  private async loadNow(): Promise<void> {
    this.failed = false
    if (!this.ready) await this.recall()
    if (!mail.online || !mail.client.has(CONTACTS)) {
      this.ready = true
      return
    }
    if (!(this.state && (await this.catchUp()))) await this.fetchAll()
    this.ready = true
    void mail.cache.keepValue(KEPT, { state: this.state, cards: $state.snapshot([...this.cards.values()]), books: this.books, learnt: this.learnt } satisfies Kept)
  }
  private async recall(): Promise<void> {
    const kept = await mail.cache.value<Kept>(KEPT)
    if (!kept) return
    for (const card of kept.cards) this.cards.set(card.id, card)
    this.books = kept.books
    this.learnt = kept.learnt
    this.state = kept.state
    this.ready = true
  }

  /** Whether /changes could tell everything. */
  private async catchUp(): Promise<boolean> {
    const batch = mail.client.batch()
    const changes = batch.add<ChangesResponse>('ContactCard/changes', { sinceState: this.state })
    const fetched = (['/created', '/updated'] as const).map((path) => batch.get<Card>('ContactCard', { '#ids': changes.ref(path) }))
    const rest = this.addRest(batch)
    await batch.send()
    if (changes.failed || changes.result.hasMoreChanges || fetched.some((call) => call.failed)) return false
    for (const call of fetched) for (const card of call.result.list) this.cards.set(card.id, card)
    for (const id of changes.result.destroyed) this.cards.delete(id)
    this.state = changes.result.newState
    this.takeRest(rest)
    return true
  }
  private async fetchAll(): Promise<void> {
    const limit = Math.min(PAGE, mail.client.limit('maxObjectsInGet', PAGE))
    const all = new Map<Id, Card>()
    for (let position = 0, more = true; more && position < MOST; position += limit) {
      const batch = mail.client.batch()
      const query = batch.add<QueryResponse>('ContactCard/query', { position, limit })
      const cards = batch.get<Card>('ContactCard', { '#ids': query.ref('/ids') })
      const rest = position === 0 ? this.addRest(batch) : undefined
      await batch.send()
      if (position === 0) this.state = cards.result.state
      for (const card of cards.result.list) all.set(card.id, card)
      if (rest) this.takeRest(rest)
      more = query.result.ids.length === limit
    }
    for (const id of this.cards.keys()) if (!all.has(id)) this.cards.delete(id)
    for (const card of all.values()) this.cards.set(card.id, card)
  }
  private addRest(batch: ReturnType<typeof mail.client.batch>) {
    return {
      books: batch.get<AddressBook>('AddressBook', { ids: null }),
      learnt: mail.client.has(OWN) ? batch.add<{ list: Learnt[] }>('LearntAddress/get', {}) : undefined,
    }
  }
  private takeRest({ books, learnt }: ReturnType<Contacts['addRest']>): void {
    if (!books.failed) this.books = [...books.result.list].sort((one, other) => one.sortOrder - other.sortOrder || one.name.localeCompare(other.name))
    if (learnt && !learnt.failed) this.learnt = learnt.result.list
  }

  get defaultBook(): Id {
    return (this.books.find((book) => book.isDefault) ?? this.books[0])?.id ?? ''
  }
  byUid(uid: string): Card | undefined {
    return [...this.cards.values()].find((card) => card.uid === uid)
  }
  /** The card that has an address. */
  byEmail(email: string): Card | undefined {
    return this.byAddress.get(email.toLowerCase())
  }

  // --- changing: throws Refused with the server's word, Unreachable ---------------------------------------

  /** Make a card; returns its id. */
  async create(card: Partial<Card>): Promise<Id> {
    const batch = mail.client.batch()
    const set = batch.set<Card>('ContactCard', { create: { made: { '@type': 'Card', version: '1.0', ...card } } })
    await batch.send()
    const fault = set.result.notCreated?.['made']
    if (fault) throw new Refused(fault.type, fault.description)
    const id = set.result.created?.['made']?.id ?? ''
    await this.load()
    return id
  }
  async update(updates: Record<Id, Record<string, unknown>>): Promise<void> {
    const batch = mail.client.batch()
    const set = batch.set<Card>('ContactCard', { update: updates })
    await batch.send()
    const [fault] = Object.values(set.result.notUpdated ?? {})
    if (fault) throw new Refused(fault.type, fault.description)
    await this.load()
  }
  async destroy(ids: Id[]): Promise<void> {
    const batch = mail.client.batch()
    const set = batch.set('ContactCard', { destroy: ids })
    await batch.send()
    const [fault] = Object.values(set.result.notDestroyed ?? {})
    if (fault) throw new Refused(fault.type, fault.description)
    for (const id of ids) this.cards.delete(id)
    await this.load()
  }
  async forgetLearnt(emails: string[]): Promise<void> {
    const batch = mail.client.batch()
    const call = batch.add('LearntAddress/destroy', { emails })
    await batch.send()
    void call.result
    this.learnt = this.learnt.filter(({ email }) => !emails.includes(email))
  }
}

export const contacts = new Contacts()
