// The account's mail as the pages see it: mailboxes, messages, conversations and lists, kept in step with the server by
// /changes whenever push says that something moved, and remembered on the device.
import { SvelteMap } from 'svelte/reactivity'
import { JmapClient, Refused, SignedOut, Unreachable, type Batch } from '../jmap/client'
import { listen, type StateChange } from '../jmap/push'
import type { ChangesResponse, Email, EmailBody, GetResponse, Id, Identity, Mailbox, Patch, QueryChangesResponse, Role, SetError, Thread } from '../jmap/types'
import { Cache, type SafeHtml } from './cache'
import { recount } from './counts'
import { MessageList, type ListQuery } from './list.svelte'
import { Outbox } from './outbox'
import { changes, inverse, patched } from './patch'
import { rememberedSession, rememberSession } from './remembering'

export const LIST_PROPERTIES = ['id', 'blobId', 'threadId', 'mailboxIds', 'keywords', 'size', 'receivedAt', 'sentAt', 'subject', 'from', 'to', 'preview', 'hasAttachment', 'caution', 'snoozed']
const LISTS_KEPT = 12
const MOST_CHANGES = 500
const AGAIN_MS = 4_000
const TYPES = ['Mailbox', 'Email', 'Thread'] as const
type Synced = (typeof TYPES)[number]

/** What the store tells the shell. */
export interface MailEvents {
  signedOut(): void
  refused(errors: SetError[]): void
  backOnline(): void
}

export class MailStore {
  readonly client: JmapClient
  readonly mailboxes = new SvelteMap<Id, Mailbox>()
  readonly emails = new SvelteMap<Id, Email>()
  readonly threads = new SvelteMap<Id, Id[]>()
  identities = $state.raw<Identity[]>([])
  online = $state(true)
  ready = $state(false)
  /** Grows whenever submissions change at the server; pages about them load again. */
  submissionVersion = $state(0)
  /** Grows whenever contacts change at the server. */
  contactsVersion = $state(0)
  /** Grows whenever Sieve scripts change at the server. */
  filtersVersion = $state(0)
  /** Texts of messages that were looked at lately, and their HTML made safe. */
  readonly bodies = new SvelteMap<Id, EmailBody>()
  readonly letters = new Map<Id, SafeHtml>()
  /** Called with messages that came since the last look. */
  onArrival: (emails: Email[]) => void = () => {}
  /** Called with what has changed, in any account. */
  onPush: (changed: StateChange['changed']) => void = () => {}
  /** Called when push was not listened to for a while: what it said is missed. */
  onMissed: () => void = () => {}
  cache = new Cache()
  outbox!: Outbox
  private states: Partial<Record<Synced, string>> = {}
  private readonly lists = new Map<string, MessageList>()
  private syncing: Promise<void> | undefined
  private next: Promise<void> | undefined
  private stopListening: () => void = () => {}
  /** States that an answer which came late goes back to: what has changed since is asked for again. */
  private rewound: Partial<Record<Synced, string>> | undefined
  /** The conversation that was asked for last. */
  private asked: Id | undefined
  /** While everything is asked for anew: messages and conversations that came. */
  private fresh: Set<Id> | undefined
  private retry: ReturnType<typeof setTimeout> | undefined
  private events!: MailEvents

  /** `shared`: the account of somebody who shares folders; none: one's own. */
  constructor(private readonly shared?: Id) {
    this.client = new JmapClient(shared)
  }

  /** Whether it is the account of the person who is logged in. */
  get isOwn(): boolean {
    return this.shared === undefined
  }

  // --- opening ---------------------------------------------------------------------------------------

  /** Log in by the browser's session and show the mail: from the device first, when it knows this account. */
  async open(events: MailEvents): Promise<void> {
    this.events = events
    const remembered = rememberedSession()
    try {
      await this.client.connect()
      await rememberSession(this.client.session, this.client.accountId)
    } catch (fault) {
      if (fault instanceof SignedOut || !remembered) throw fault
      this.client.session = remembered
      this.online = false
    }
    this.cache.close() // of an opening before that came to nothing
    this.cache = await Cache.open(this.client.accountId)
    this.makeOutbox()
    await this.outbox.restore()
    await this.recallAll()
    try {
      if (this.online) await this.refreshAll()
    } catch (fault) {
      if (!(fault instanceof Unreachable) || !this.mailboxes.size) throw fault
      this.online = false // what the device remembers can be read
    }
    this.ready = true
    this.join()
    void this.cache.sweep()
  }

  /** Show what somebody shares, by the session of one's own account. Nothing of it is kept on the device. */
  async openShared(own: MailStore): Promise<void> {
    this.events = own.events
    this.client.session = own.client.session
    this.makeOutbox()
    await this.refreshAll()
    this.ready = true
  }

  private makeOutbox(): void {
    this.outbox = new Outbox(this.client, this.cache, {
      refused: (errors) => void this.rollBack(errors),
      unreachable: () => this.lost(),
      signedOut: () => this.events.signedOut(),
    })
  }

  private join(): void {
    addEventListener('online', () => void this.comeBack())
    addEventListener('offline', () => this.lost())
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') void this.comeBack()
    })
    if (this.online) this.startListening()
    else this.lost()
  }

  private startListening(): void {
    this.stopListening()
    let joined = false
    this.stopListening = listen(
      this.client,
      (change) => this.hear(change),
      () => {
        if (joined) {
          this.onMissed()
          void this.readIdentities()
        }
        joined = true
        void this.comeBack()
      },
      () => void this.comeBack(),
    )
  }

  /** Take note that something has changed, and look what. */
  hear({ changed }: StateChange): void {
    this.onPush(changed)
    const states = changed[this.client.accountId]
    if (!states) return
    if (states['EmailSubmission']) this.submissionVersion++
    if (states['ContactCard'] || states['AddressBook']) this.contactsVersion++
    if (states['SieveScript']) this.filtersVersion++
    if (states['Identity'] && this.isOwn) void this.readIdentities()
    if (TYPES.some((type) => states[type] && states[type] !== this.states[type])) void this.sync()
  }

  private async recallAll(): Promise<void> {
    const [mailboxes, states, identities] = await Promise.all([this.cache.mailboxes(), this.cache.value<typeof this.states>('states'), this.cache.value<Identity[]>('identities')])
    for (const mailbox of mailboxes) this.mailboxes.set(mailbox.id, mailbox)
    this.states = states ?? {}
    this.identities = identities ?? []
  }

  /** Everything about mailboxes and identities; the states from which /changes goes on. */
  private async refreshAll(): Promise<void> {
    const batch = this.client.batch()
    const mailboxes = batch.get<Mailbox>('Mailbox', { ids: null })
    const emails = batch.get<Email>('Email', { ids: [], properties: ['id'] })
    const threads = batch.get<Thread>('Thread', { ids: [] })
    const identities = batch.get<Identity>('Identity', { ids: null })
    await batch.send()
    const known = this.states.Email
    this.takeMailboxes(mailboxes.result.list, true)
    this.states.Mailbox = mailboxes.result.state
    if (!identities.failed) this.takeIdentities(identities.result.list)
    if (known) return void (await this.sync()) // what the device remembers is brought up to date
    this.states.Email = emails.result.state
    this.states.Thread = threads.result.state
    void this.cache.keepValue('states', { ...this.states })
  }

  takeIdentities(list: Identity[]): void {
    this.identities = list
    void this.cache.keepValue('identities', list)
  }
  /** They are few, so all are read when one has changed. */
  private async readIdentities(): Promise<void> {
    const batch = this.client.batch()
    const identities = batch.get<Identity>('Identity', { ids: null })
    try {
      await batch.send()
      this.takeIdentities(identities.result.list)
    } catch (fault) {
      this.meet(fault)
    }
  }

  // --- being offline ---------------------------------------------------------------------------------

  /** Sort a failure: unreachable means offline, signed out is for the shell. Anything else is the caller's. */
  meet(fault: unknown): void {
    if (fault instanceof Unreachable) this.lost()
    else if (fault instanceof SignedOut) this.events.signedOut()
    else if (!(fault instanceof Refused)) throw fault
  }

  private lost(): void {
    this.online = false
    clearTimeout(this.retry)
    this.retry = setTimeout(() => void this.comeBack(), AGAIN_MS)
  }

  /** Send what waits and fetch what was missed. */
  private async comeBack(): Promise<void> {
    const was = this.online
    try {
      if (!was) await this.client.connect()
    } catch (fault) {
      return this.meet(fault)
    }
    if (!was) {
      this.online = true
      if (this.isOwn) this.startListening()
    }
    await this.outbox.flush()
    await this.sync()
    if (was || !this.online || !this.isOwn) return
    void this.readIdentities()
    this.onMissed()
    this.events.backOnline()
  }

  // --- keeping in step -------------------------------------------------------------------------------

  /** Bring everything shown up to date: one request. Calls during one under way wait for one more, which knows what they did. */
  sync(): Promise<void> {
    if (this.syncing) {
      const again = () => {
        this.next = undefined
        return this.online ? this.sync() : undefined
      }
      this.next ??= this.syncing.then(again, again) // a failure is told to who began it
      return this.next
    }
    this.syncing = this.syncOnce()
      .catch((fault: unknown) => this.meet(fault))
      .finally(() => {
        this.syncing = undefined
      })
    return this.syncing
  }

  /**
   * Send a batch and take what it brings. What /changes told meanwhile may be newer than an answer that comes late: it is asked for
   * again.
   */
  async fetch(batch: Batch, take: () => void): Promise<void> {
    const since = { ...this.states }
    await batch.send()
    take()
    if (!this.states.Email || this.states.Email === since.Email) return
    this.rewound ??= since
    void this.sync()
  }

  private async syncOnce(): Promise<void> {
    if (this.rewound) this.states = { ...this.states, ...this.rewound }
    this.rewound = undefined
    const batch = this.client.batch()
    const parts = TYPES.map((type) => this.addChanges(batch, type))
    const shown = [...this.lists.values()].slice(-2)
    const lists = shown.map((list) => {
      const args = list.changesSince()
      return { list, call: args && batch.add<QueryChangesResponse>('Email/queryChanges', args) }
    })
    await batch.send()
    for (const { changes, fetched } of parts) for (const call of [changes, ...fetched]) if (call.failed?.type === 'serverUnavailable') void call.result
    if (parts.some(({ changes, fetched }) => changes.failed || changes.result.hasMoreChanges || fetched.some((call) => call.failed))) return this.startAnew()
    for (const { type, changes, fetched, members } of parts) {
      for (const call of members) if (!call.failed) this.take(call.result.list, [])
      this.takeChanged(type, fetched.flatMap((call) => call.result.list), changes.result)
      this.states[type] = changes.result.newState
    }
    const created = new Set(parts.find(({ type }) => type === 'Email')?.changes.result.created)
    if (created.size) this.onArrival([...created].flatMap((id) => this.emails.get(id) ?? []))
    await Promise.all(lists.map(({ list, call }) => (!call ? list.begin() : call.failed ? list.reload() : list.merge(call.result))))
    for (const list of [...this.lists.values()].slice(0, -2)) this.lists.delete(list.key) // not shown: asked for anew when opened
    void this.cache.keepValue('states', { ...this.states })
    void this.cache.keepMailboxes([...this.mailboxes.values()])
  }

  private addChanges(batch: Batch, type: Synced) {
    const changes = batch.add<ChangesResponse>(`${type}/changes`, { sinceState: this.states[type] ?? '', maxChanges: MOST_CHANGES })
    const properties = type === 'Email' ? { properties: LIST_PROPERTIES } : {}
    const fetched = (['/created', '/updated'] as const).map((path) => batch.get<Mailbox | Email | Thread>(type, { '#ids': changes.ref(path), ...properties }))
    // A conversation that grew is shown whole at once, also where its older messages were never looked at.
    const members = type === 'Thread' ? fetched.map((call) => batch.get<Email>('Email', { '#ids': call.ref('/list/*/emailIds'), properties: LIST_PROPERTIES })) : []
    return { type, changes, fetched, members }
  }

  private takeChanged(type: Synced, list: (Mailbox | Email | Thread)[], changes: ChangesResponse): void {
    if (type === 'Mailbox') {
      this.takeMailboxes(list as Mailbox[], false)
      for (const id of changes.destroyed) this.mailboxes.delete(id)
    } else if (type === 'Thread') {
      this.take([], list as Thread[])
      for (const id of changes.destroyed) this.threads.delete(id)
    } else {
      this.take(list as Email[], [])
      for (const id of changes.destroyed) this.emails.delete(id)
      if (changes.destroyed.length) void this.cache.forgetEmails(changes.destroyed)
    }
  }

  /** Too much has changed, or too long ago: what is held is fetched again. */
  private async startAnew(): Promise<void> {
    this.states = {}
    await this.refreshAll()
    this.rewound = undefined
    await this.cache.forgetMessages()
    const shown = [...this.lists.values()].at(-1)
    this.lists.clear()
    const fresh = (this.fresh = new Set())
    if (shown) {
      this.lists.set(shown.key, shown)
      await shown.reload()
    }
    if (this.asked) await this.loadThread(this.asked, true)
    this.fresh = undefined
    if (!this.online || shown?.failed) {
      this.states = {} // what is held is old, and stays until it can be asked for
      return
    }
    for (const held of [this.emails, this.threads]) for (const id of held.keys()) if (!fresh.has(id)) held.delete(id)
  }

  private takeMailboxes(list: Mailbox[], all: boolean): void {
    if (all) for (const id of this.mailboxes.keys()) if (!list.some((mailbox) => mailbox.id === id)) this.mailboxes.delete(id)
    for (const mailbox of list) this.mailboxes.set(mailbox.id, mailbox)
    if (all) void this.cache.keepMailboxes(list)
  }

  /** Take in messages and conversations as the server has them; changes under way stay on top. */
  take(emails: Email[], threads: Thread[]): void {
    for (const email of emails) this.emails.set(email.id, this.outbox.shown(email))
    for (const thread of threads) this.threads.set(thread.id, thread.emailIds)
    for (const { id } of [...emails, ...threads]) this.fresh?.add(id)
    if (emails.length) this.cache.keepEmails(emails)
    if (threads.length) this.cache.keepThreads(threads)
  }

  /** Calls that fetch the whole conversations of the messages that `ids` refers to. */
  addThreadCalls(batch: Batch, ids: ReturnType<Batch['add']>['ref'] extends (path: string) => infer R ? R | Id[] : never) {
    const heads = batch.get<Email>('Email', { ...(Array.isArray(ids) ? { ids } : { '#ids': ids }), properties: ['threadId'] })
    const threads = batch.get<Thread>('Thread', { '#ids': heads.ref('/list/*/threadId') })
    const emails = batch.get<Email>('Email', { '#ids': threads.ref('/list/*/emailIds'), properties: LIST_PROPERTIES })
    return { threads, emails }
  }

  /** Load conversations of which something is missing here. */
  async fill(ids: Id[]): Promise<void> {
    const missing = ids.filter((id) => {
      const email = this.emails.get(id)
      const members = email && this.threads.get(email.threadId)
      return !members || members.some((member) => !this.emails.has(member))
    })
    if (!missing.length) return
    const batch = this.client.batch()
    const calls = this.addThreadCalls(batch, missing)
    await this.fetch(batch, () => this.take(safe(calls.emails), safe(calls.threads))).catch((fault: unknown) => this.meet(fault))
  }

  /** Load one conversation by its id: for an address that was typed in or kept as a bookmark. */
  async loadThread(threadId: Id, anew = false): Promise<boolean> {
    this.asked = threadId
    const known = this.threads.get(threadId)
    if (!anew && known?.every((id) => this.emails.has(id))) return true
    const batch = this.client.batch()
    const threads = batch.get<Thread>('Thread', { ids: [threadId] })
    const emails = batch.get<Email>('Email', { '#ids': threads.ref('/list/*/emailIds'), properties: LIST_PROPERTIES })
    try {
      await this.fetch(batch, () => this.take(emails.result.list, threads.result.list))
      return emails.result.list.length > 0
    } catch (fault) {
      this.meet(fault)
      const kept = (await this.cache.threads([threadId])).get(threadId)
      if (!kept) return false
      await this.recall(kept)
      this.threads.set(threadId, kept)
      return kept.some((id) => this.emails.has(id))
    }
  }

  /** Put what the device remembers of these messages, and their conversations, where pages find it. */
  async recall(ids: Id[]): Promise<void> {
    const emails = await this.cache.emails(ids)
    const threads = await this.cache.threads([...new Set(emails.map((email) => email.threadId))])
    const others = [...threads.values()].flat().filter((id) => !this.emails.has(id) && !ids.includes(id))
    for (const email of [...emails, ...(await this.cache.emails(others))]) {
      if (!this.emails.has(email.id)) this.emails.set(email.id, this.outbox.shown(email))
    }
    for (const [id, members] of threads) if (!this.threads.has(id)) this.threads.set(id, members)
  }

  // --- looking ---------------------------------------------------------------------------------------

  /** The mailbox of a role. */
  role(role: Role): Mailbox | undefined {
    for (const mailbox of this.mailboxes.values()) if (mailbox.role === role) return mailbox
    return undefined
  }

  /** The list of a query; the same object as long as it is held. */
  list(query: ListQuery): MessageList {
    const key = JSON.stringify(query)
    const held = this.lists.get(key) ?? new MessageList(this, query)
    this.lists.delete(key)
    this.lists.set(key, held) // newest use last
    for (const old of [...this.lists.keys()].slice(0, Math.max(0, this.lists.size - LISTS_KEPT))) this.lists.delete(old)
    return held
  }

  /** Messages of a conversation that are known, oldest first. */
  members(threadId: Id): Email[] {
    const ids = this.threads.get(threadId) ?? []
    return ids.map((id) => this.emails.get(id)).filter((email) => email !== undefined)
  }

  // --- changing --------------------------------------------------------------------------------------

  /**
   * Change messages: shown at once, sent in order. Returns the patches that take it back. `anyway`: also where it seems to be so already,
   * because what the server has done meanwhile may not have been heard of yet.
   */
  change(updates: Record<Id, Patch>, anyway = false): Record<Id, Patch> {
    const back: Record<Id, Patch> = {}
    const real: Record<Id, Patch> = {}
    const before: Email[] = []
    const after: Email[] = []
    for (const [id, patch] of Object.entries(updates)) {
      const email = this.emails.get(id)
      if (email && !anyway && !changes(email, patch)) continue
      real[id] = patch
      if (!email) continue
      back[id] = inverse(email, patch)
      before.push(email)
      after.push(patched(email, patch))
    }
    for (const mailbox of recount(this.mailboxes, (id) => this.members(id), before, after)) this.mailboxes.set(mailbox.id, mailbox)
    for (const email of after) this.emails.set(email.id, email)
    if (after.length) this.cache.keepEmails(after)
    if (Object.keys(real).length) this.outbox.add(real)
    return back
  }

  /** The server refused: show what it has. */
  private async rollBack(errors: Record<Id, SetError>): Promise<void> {
    this.events.refused(Object.values(errors))
    const batch = this.client.batch()
    const emails: { result: GetResponse<Email> } = batch.get<Email>('Email', { ids: Object.keys(errors), properties: LIST_PROPERTIES })
    try {
      await this.fetch(batch, () => {
        this.take(emails.result.list, [])
        for (const id of emails.result.notFound) this.emails.delete(id)
      })
    } catch (fault) {
      this.meet(fault)
    }
    for (const list of [...this.lists.values()].slice(-1)) await list.reload()
    await this.sync()
  }
}

function safe<T>(call: { failed: unknown; result: GetResponse<T> }): T[] {
  return call.failed ? [] : call.result.list
}

/** The account of the person who is logged in; what others share is in shared.svelte.ts. */
export const mail = new MailStore()
