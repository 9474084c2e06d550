// What stays on the device: mailboxes, messages seen lately and their texts, so that the application opens at once and works
// offline. A cache of the server's truth and nothing else, except the two outboxes: changes and drafts not yet taken by it.
import { openDB, deleteDB, type DBSchema, type IDBPDatabase } from 'idb'
import type { Email, EmailBody, Id, Identity, Mailbox, Patch } from '../jmap/types'
import { whenIdle } from './idle'

/** A message's cleaned HTML, as the server gave it. */
export interface SafeHtml {
  html: string
  styleSheet: string
  remoteImages: number
}
export interface KeptList {
  ids: Id[]
  total: number
}
export interface KeptChange {
  key?: number
  updates: Record<Id, Patch>
}
interface Schema extends DBSchema {
  values: { key: string; value: unknown }
  mailboxes: { key: Id; value: Mailbox }
  emails: { key: Id; value: Email & { seen: number }; indexes: { seen: number } }
  bodies: { key: Id; value: { id: Id; body: EmailBody; seen: number }; indexes: { seen: number } }
  letters: { key: Id; value: SafeHtml & { id: Id; seen: number }; indexes: { seen: number } }
  threads: { key: Id; value: { id: Id; emailIds: Id[] } }
  lists: { key: string; value: KeptList }
  changes: { key: number; value: KeptChange }
  drafts: { key: string; value: unknown }
}

const VERSION = 1
const AT_ONCE = 50
const KEEP = { emails: 5_000, bodies: 500, letters: 300 } as const

/** The device's memory of one account. Every operation is harmless when storage is refused (private windows). */
export class Cache {
  private db: IDBPDatabase<Schema> | undefined
  /** What is not written yet. */
  private readonly newEmails = new Map<Id, Email & { seen: number }>()
  private readonly newThreads = new Map<Id, { id: Id; emailIds: Id[] }>()
  private writing = false

  static async open(account: Id): Promise<Cache> {
    const cache = new Cache()
    try {
      cache.db = await openDB<Schema>(`posthouse-${account}`, VERSION, {
        upgrade(db) {
          for (const name of ['values', 'lists', 'drafts'] as const) db.createObjectStore(name)
          db.createObjectStore('mailboxes', { keyPath: 'id' })
          db.createObjectStore('threads', { keyPath: 'id' })
          db.createObjectStore('changes', { autoIncrement: true })
          for (const name of ['emails', 'bodies', 'letters'] as const) db.createObjectStore(name, { keyPath: 'id' }).createIndex('seen', 'seen')
        },
      })
    } catch {
      cache.db = undefined
    }
    return cache
  }
  /** Whether anything is kept: not in a window whose storage is refused. */
  get lasting(): boolean {
    return this.db !== undefined
  }
  close(): void {
    this.db?.close()
    this.db = undefined
  }
  static async forget(account: Id): Promise<void> {
    await deleteDB(`posthouse-${account}`)
  }

  /** Forget the mail itself, but neither unsent messages nor changes: the session has ended without a word of its owner. */
  async forgetMail(): Promise<void> {
    this.newEmails.clear()
    this.newThreads.clear()
    for (const name of ['values', 'mailboxes', 'emails', 'bodies', 'letters', 'threads', 'lists'] as const) await this.db?.clear(name)
  }

  async value<T>(key: string): Promise<T | undefined> {
    return (await this.db?.get('values', key)) as T | undefined
  }
  async keepValue(key: string, value: unknown): Promise<void> {
    await this.db?.put('values', value, key)
  }
  async mailboxes(): Promise<Mailbox[]> {
    return (await this.db?.getAll('mailboxes')) ?? []
  }
  async keepMailboxes(all: Mailbox[]): Promise<void> {
    const write = this.db?.transaction('mailboxes', 'readwrite')
    if (!write) return
    await write.store.clear()
    await Promise.all(all.map((mailbox) => write.store.put(mailbox)))
    await write.done
  }
  async emails(ids: Id[]): Promise<Email[]> {
    const read = this.db?.transaction('emails')
    if (!read) return []
    const found = await Promise.all(ids.map((id) => this.newEmails.get(id) ?? read.store.get(id)))
    return found.filter((email) => email !== undefined)
  }
  /** Written when the page has nothing else to do: a list that is scrolled must not wait for the disk. */
  keepEmails(emails: Email[]): void {
    const seen = Date.now()
    for (const email of emails) this.newEmails.set(email.id, { ...email, seen })
    this.writeSoon()
  }
  private writeSoon(): void {
    if (this.writing || !this.db) return
    this.writing = true
    whenIdle(() => void this.writeNew().catch(() => undefined))
  }
  private async writeNew(): Promise<void> {
    const emails = [...this.newEmails.values()].slice(0, AT_ONCE)
    const threads = [...this.newThreads.values()].slice(0, AT_ONCE)
    const write = this.db?.transaction(['emails', 'threads'], 'readwrite')
    this.writing = false
    if (!write) return
    for (const email of emails) void write.objectStore('emails').put(email)
    for (const thread of threads) void write.objectStore('threads').put(thread)
    await write.done
    for (const email of emails) if (this.newEmails.get(email.id) === email) this.newEmails.delete(email.id)
    for (const thread of threads) if (this.newThreads.get(thread.id) === thread) this.newThreads.delete(thread.id)
    if (this.newEmails.size + this.newThreads.size) this.writeSoon()
  }
  async forgetEmails(ids: Id[]): Promise<void> {
    for (const id of ids) this.newEmails.delete(id)
    for (const name of ['emails', 'bodies', 'letters'] as const) {
      const write = this.db?.transaction(name, 'readwrite')
      await Promise.all(ids.map((id) => write?.store.delete(id)))
    }
  }
  async threads(ids: Id[]): Promise<Map<Id, Id[]>> {
    const read = this.db?.transaction('threads')
    if (!read) return new Map()
    const found = await Promise.all(ids.map((id) => this.newThreads.get(id) ?? read.store.get(id)))
    return new Map(found.filter((thread) => thread !== undefined).map((thread) => [thread.id, thread.emailIds]))
  }
  keepThreads(threads: { id: Id; emailIds: Id[] }[]): void {
    for (const thread of threads) this.newThreads.set(thread.id, thread)
    this.writeSoon()
  }
  async body(id: Id): Promise<EmailBody | undefined> {
    return (await this.db?.get('bodies', id))?.body
  }
  async keepBodies(bodies: EmailBody[]): Promise<void> {
    const write = this.db?.transaction('bodies', 'readwrite')
    const seen = Date.now()
    await Promise.all(bodies.map((body) => write?.store.put({ id: body.id, body, seen })))
  }
  async letter(id: Id): Promise<SafeHtml | undefined> {
    return this.db?.get('letters', id)
  }
  async keepLetter(id: Id, letter: SafeHtml): Promise<void> {
    await this.db?.put('letters', { id, ...letter, seen: Date.now() })
  }
  async list(key: string): Promise<KeptList | undefined> {
    return this.db?.get('lists', key)
  }
  async keepList(key: string, list: KeptList): Promise<void> {
    await this.db?.put('lists', list, key)
  }

  async changes(): Promise<KeptChange[]> {
    const read = this.db?.transaction('changes')
    if (!read) return []
    const [keys, values] = await Promise.all([read.store.getAllKeys(), read.store.getAll()])
    return values.map((value, index) => ({ ...value, key: keys[index] as number }))
  }
  async keepChange(change: KeptChange): Promise<number | undefined> {
    return this.db?.add('changes', change)
  }
  async forgetChange(key: number | undefined): Promise<void> {
    if (key !== undefined) await this.db?.delete('changes', key)
  }

  async drafts(): Promise<[string, unknown][]> {
    const read = this.db?.transaction('drafts')
    if (!read) return []
    const [keys, values] = await Promise.all([read.store.getAllKeys(), read.store.getAll()])
    return keys.map((key, index) => [key, values[index]])
  }
  async keepDraft(key: string, draft: unknown): Promise<void> {
    await this.db?.put('drafts', draft, key)
  }
  async forgetDraft(key: string): Promise<void> {
    await this.db?.delete('drafts', key)
  }

  /** Drop what was not seen for longest, beyond the numbers kept. */
  async sweep(): Promise<void> {
    for (const name of ['emails', 'bodies', 'letters'] as const) {
      const write = this.db?.transaction(name, 'readwrite')
      if (!write) return
      let excess = (await write.store.count()) - KEEP[name]
      for (let cursor = await write.store.index('seen').openCursor(); cursor && excess > 0; excess--, cursor = await cursor.continue()) await cursor.delete()
    }
  }
}
