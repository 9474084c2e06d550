// One list of conversations: a window into a query of the server that may have 100,000 results. Only what was looked at is held.
import { SignedOut, Unreachable } from '../jmap/client'
import type { Comparator, Condition, Email, Filter, Id, Mailbox, QueryChangesResponse, QueryResponse, Thread } from '../jmap/types'
import { LIST_PROPERTIES, type MailStore } from './mail.svelte'

export interface ListQuery {
  filter: Filter
  sort?: Comparator[]
}
const PAGE = 60
const KEPT = 120
const AT_ONCE = 3
const MOST_TRIES = 50
const TRY_AGAIN_MS = 100
const NEWEST_FIRST: Comparator[] = [{ property: 'receivedAt', isAscending: false }]

export class MessageList {
  /** Number of conversations; -1 until the server or the device has said it. */
  total = $state(-1)
  failed = $state(false)
  /** Conversations that came to the top since the list was opened; the view sets it back. */
  arrived = $state(0)
  private version = $state(0)
  private ids: (Id | undefined)[] = []
  private queryState = ''
  private readonly loading = new Set<number>()
  readonly key: string

  constructor(
    readonly mail: MailStore,
    readonly query: ListQuery,
  ) {
    this.key = JSON.stringify(query)
  }

  /** The message that stands for the conversation at `index`, if it is known. */
  at(index: number): Id | undefined {
    void this.version
    return this.ids[index]
  }
  indexOf(id: Id): number {
    void this.version
    return this.ids.indexOf(id)
  }
  /** Index of the conversation `threadId`, or -1. */
  indexOfThread(threadId: Id): number {
    void this.version
    return this.ids.findIndex((id) => id !== undefined && this.mail.emails.get(id)?.threadId === threadId)
  }
  /** Everything known, in order. */
  known(): Id[] {
    void this.version
    return this.ids.filter((id) => id !== undefined)
  }

  /** Show what the device remembers, until the server has said how it is now. */
  async recall(): Promise<void> {
    const kept = await this.mail.cache.list(this.key)
    if (!kept || this.total >= 0) return
    await this.mail.recall(kept.ids)
    if (this.total >= 0) return // the server was faster
    this.ids = kept.ids
    this.total = kept.total
    this.version++
  }

  /** Load what lies between two indexes and isn't known yet. */
  async ensure(from: number, to: number): Promise<void> {
    if (!this.mail.online && this.total >= 0) return // what the device remembers is all there is
    const last = this.total < 0 ? 0 : Math.max(0, Math.min(to, this.total - 1))
    const pages: number[] = []
    for (let page = Math.floor(Math.max(0, from) / PAGE); page <= Math.floor(last / PAGE); page++) {
      if (this.loading.size + pages.length >= AT_ONCE) break // the view asks again when one has come
      if (!this.loading.has(page) && (this.queryState === '' || this.hasHole(page))) pages.push(page)
    }
    await Promise.all(pages.map((page) => this.load(page)))
  }

  /** The first `most` conversations, loaded where they are not known yet; fewer when the server cannot be asked. */
  async whole(most: number): Promise<Id[]> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const end = Math.min(most, this.total)
      let hole = 0
      while (hole < end && this.ids[hole] !== undefined) hole++
      if (hole >= end) break
      const before = this.known().length
      await this.ensure(hole, end - 1)
      if (this.known().length > before) tries = 0
      else await new Promise((again) => setTimeout(again, TRY_AGAIN_MS)) // pages are under way already, or the list has just changed
    }
    return this.known().slice(0, most)
  }

  /** Load the beginning, unless that is under way: what the device remembers may be old. */
  async begin(): Promise<void> {
    if (!this.loading.has(0)) await this.load(0)
  }

  /** Forget everything and load the beginning again. */
  async reload(): Promise<void> {
    this.queryState = ''
    await this.load(0)
  }

  private hasHole(page: number): boolean {
    const end = Math.min((page + 1) * PAGE, this.total)
    for (let index = page * PAGE; index < end; index++) if (this.ids[index] === undefined) return true
    return false
  }

  private async load(page: number): Promise<void> {
    this.loading.add(page)
    try {
      await this.mail.outbox.settled(this.mail.online) // else the answer would show what was just moved away
      const batch = this.mail.client.batch()
      const query = batch.add<QueryResponse>('Email/query', { ...this.arguments, position: page * PAGE, limit: PAGE, calculateTotal: this.wantsTotal })
      const threads = this.mail.addThreadCalls(batch, query.ref('/ids'))
      await this.mail.fetch(batch, () => {
        this.mail.take(threads.emails.result.list, threads.threads.result.list)
        this.place(query.result)
      })
      this.failed = false
    } catch (fault) {
      this.mail.meet(fault)
      this.failed = !(fault instanceof Unreachable || fault instanceof SignedOut) || this.total < 0
    } finally {
      this.loading.delete(page)
    }
  }

  /** The mailbox all of whose conversations this list has; undefined: it has some of them, or those of several. */
  private get mailbox(): Mailbox | undefined {
    const { inMailbox, ...others } = this.query.filter as Condition
    return inMailbox !== undefined && Object.keys(others).length === 0 ? this.mail.mailboxes.get(inMailbox) : undefined
  }
  /** A mailbox says itself how many conversations it has; counting a result means going through all of it. */
  private get wantsTotal(): boolean {
    return this.mailbox === undefined
  }
  private get arguments() {
    return { filter: this.query.filter, sort: this.query.sort ?? NEWEST_FIRST, collapseThreads: true }
  }

  private place(answer: QueryResponse): void {
    if (this.queryState !== answer.queryState) {
      if (this.queryState !== '' && answer.position > 0) {
        // The list has changed between two pages: what is known may be shifted, so bring it up to date first.
        void this.mail.sync()
      } else {
        this.ids = []
        this.queryState = answer.queryState
      }
    }
    answer.ids.forEach((id, offset) => (this.ids[answer.position + offset] = id))
    this.total = answer.total ?? this.totalBy(answer)
    this.ids.length = Math.min(this.ids.length, Math.max(this.total, 0))
    this.version++
    this.keep()
  }

  /** How many there are by a page without a total: a short one is the last. */
  private totalBy({ position, ids, limit = PAGE }: QueryResponse): number {
    const end = position + ids.length
    if (ids.length >= limit) return Math.max(end, this.mailbox?.totalThreads ?? 0)
    return ids.length || !position ? end : Math.min(end, this.total)
  }

  private keep(): void {
    const ids = this.prefix().slice(0, KEPT)
    void this.mail.cache.keepList(this.key, { ids, total: this.total })
  }

  /** What is known from the top without a hole. */
  private prefix(): Id[] {
    const hole = this.ids.findIndex((id) => id === undefined)
    return (hole < 0 ? this.ids : this.ids.slice(0, hole)) as Id[]
  }

  // --- keeping in step --------------------------------------------------------------------------------

  /** Arguments of Email/queryChanges, or nothing when there is nothing to bring up to date. */
  changesSince(): Record<string, unknown> | undefined {
    if (this.queryState === '') return undefined
    return { ...this.arguments, sinceQueryState: this.queryState, calculateTotal: this.wantsTotal }
  }

  /** Take in what has changed since (RFC 8620 §5.6). */
  merge(changes: QueryChangesResponse): void {
    if (changes.oldQueryState !== this.queryState) return
    this.queryState = changes.newQueryState
    if (changes.removed.length + changes.added.length === 0) return
    const known = this.prefix()
    const complete = known.length >= this.total
    const before = new Set(known)
    const gone = new Set(changes.removed)
    const ids = known.filter((id) => !gone.has(id))
    for (const { id, index } of [...changes.added].sort((one, other) => one.index - other.index)) {
      const there = ids.indexOf(id)
      if (there >= 0) ids.splice(there, 1)
      if (index <= ids.length) ids.splice(index, 0, id)
    }
    this.ids = ids
    this.total = changes.total ?? (complete ? ids.length : Math.max(ids.length, this.mailbox?.totalThreads ?? this.total))
    this.ids.length = Math.min(ids.length, this.total)
    this.version++
    const fresh = ids.findIndex((id) => before.has(id))
    if (fresh > 0) this.arrived += ids.slice(0, fresh).filter((id) => this.isUnread(id)).length
    this.keep()
    void this.mail.fill(this.prefix().slice(0, KEPT))
  }

  private isUnread(id: Id): boolean {
    const email = this.mail.emails.get(id)
    return email !== undefined && !email.keywords['$seen']
  }

  /** Take conversations out at once; returns how to put them back. */
  withdraw(ids: Id[]): () => void {
    const places = ids.map((id) => ({ id, index: this.ids.indexOf(id) })).filter(({ index }) => index >= 0)
    places.sort((one, other) => one.index - other.index)
    for (const { index } of [...places].reverse()) this.ids.splice(index, 1)
    this.total = Math.max(0, this.total - places.length)
    this.version++
    return () => {
      for (const { id, index } of places) {
        if (this.ids.includes(id)) continue
        this.ids.splice(Math.min(index, this.ids.length), 0, id)
        this.total++
      }
      this.version++
    }
  }
}

export type ThreadCalls = ReturnType<MailStore['addThreadCalls']>
export { LIST_PROPERTIES }
export type { Email, Thread }
