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

/**
 * The device's memory of one account. Every operation is harmless when storage is refused (private windows, a full disk, a database
 * that was taken away): nothing is remembered then, and what asks goes on.
 */
export class Cache {
  private db: IDBPDatabase<Schema> | undefined
  /** What is not written yet. */
  private readonly newEmails = new Map<Id, Email & { seen: number }>()
  private readonly newThreads = new Map<Id, { id: Id; emailIds: Id[] }>()
  private writing = false
  /** The last message that was to be kept was not. */
  private full = false

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
        // Another window forgets the account: it would wait for this one for ever.
        blocking: () => cache.close(),
        terminated: () => cache.close(),
      })
    } catch {
      cache.db = undefined
    }
    return cache
  }
  /** Whether messages that are written are kept: not in a window whose storage is refused or full. */
  get lasting(): boolean {
    return this.db !== undefined && !this.full
  }
  close(): void {
    this.db?.close()
    this.db = undefined
  }
  static async forget(account: Id): Promise<void> {
    await deleteDB(`posthouse-${account}`).catch(() => undefined)
  }
  private async quietly<T>(run: (db: IDBPDatabase<Schema>) => Promise<T>): Promise<T | undefined> {
    try {
      return this.db && (await run(this.db))
    } catch {
      return undefined
    }
  }

  /** Forget the mail itself, but neither unsent messages nor changes: the session has ended without a word of its owner. */
  async forgetMail(): Promise<void> {
    this.newEmails.clear()
    this.newThreads.clear()
    for (const name of ['values', 'mailboxes', 'emails', 'bodies', 'letters', 'threads', 'lists'] as const) await this.quietly((db) => db.clear(name))
  }

  /** Forget messages and lists: the server could not say what has become of them. */
  async forgetMessages(): Promise<void> {
    this.newEmails.clear()
    this.newThreads.clear()
    for (const name of ['emails', 'threads', 'lists'] as const) await this.quietly((db) => db.clear(name))
  }

  async value<T>(key: string): Promise<T | undefined> {
    return (await this.quietly((db) => db.get('values', key))) as T | undefined
  }
  async keepValue(key: string, value: unknown): Promise<void> {
    await this.quietly((db) => db.put('values', value, key))
  }
  async mailboxes(): Promise<Mailbox[]> {
    return (await this.quietly((db) => db.getAll('mailboxes'))) ?? []
  }
  async keepMailboxes(all: Mailbox[]): Promise<void> {
    await this.quietly(async (db) => {
      const { store, done } = db.transaction('mailboxes', 'readwrite')
      await Promise.all([store.clear(), ...all.map((mailbox) => store.put(mailbox)), done])
    })
  }
  async emails(ids: Id[]): Promise<Email[]> {
    const found = await this.quietly((db) => {
      const { store } = db.transaction('emails')
      return Promise.all(ids.map((id) => this.newEmails.get(id) ?? store.get(id)))
    })
    return (found ?? []).filter((email) => email !== undefined)
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
    whenIdle(() => void this.writeNew())
  }
  private async writeNew(): Promise<void> {
    const emails = [...this.newEmails.values()].slice(0, AT_ONCE)
    const threads = [...this.newThreads.values()].slice(0, AT_ONCE)
    this.writing = false
    await this.quietly(async (db) => {
      const write = db.transaction(['emails', 'threads'], 'readwrite')
      await Promise.all([...emails.map((email) => write.objectStore('emails').put(email)), ...threads.map((thread) => write.objectStore('threads').put(thread)), write.done])
    })
    for (const email of emails) if (this.newEmails.get(email.id) === email) this.newEmails.delete(email.id)
    for (const thread of threads) if (this.newThreads.get(thread.id) === thread) this.newThreads.delete(thread.id)
    if (this.newEmails.size + this.newThreads.size) this.writeSoon()
  }
  async forgetEmails(ids: Id[]): Promise<void> {
    for (const id of ids) this.newEmails.delete(id)
    for (const name of ['emails', 'bodies', 'letters'] as const) {
      await this.quietly(async (db) => {
        const { store, done } = db.transaction(name, 'readwrite')
        await Promise.all([...ids.map((id) => store.delete(id)), done])
      })
    }
  }
  async threads(ids: Id[]): Promise<Map<Id, Id[]>> {
    const found = await this.quietly((db) => {
      const { store } = db.transaction('threads')
      return Promise.all(ids.map((id) => this.newThreads.get(id) ?? store.get(id)))
    })
    return new Map((found ?? []).filter((thread) => thread !== undefined).map((thread) => [thread.id, thread.emailIds]))
  }
  keepThreads(threads: { id: Id; emailIds: Id[] }[]): void {
    for (const thread of threads) this.newThreads.set(thread.id, thread)
    this.writeSoon()
  }
  async body(id: Id): Promise<EmailBody | undefined> {
    return (await this.quietly((db) => db.get('bodies', id)))?.body
  }
  async keepBodies(bodies: EmailBody[]): Promise<void> {
    const seen = Date.now()
    await this.quietly(async (db) => {
      const { store, done } = db.transaction('bodies', 'readwrite')
      await Promise.all([...bodies.map((body) => store.put({ id: body.id, body, seen })), done])
    })
  }
  async letter(id: Id): Promise<SafeHtml | undefined> {
    return this.quietly((db) => db.get('letters', id))
  }
  async keepLetter(id: Id, letter: SafeHtml): Promise<void> {
    await this.quietly((db) => db.put('letters', { id, ...letter, seen: Date.now() }))
  }
  async list(key: string): Promise<KeptList | undefined> {
    return this.quietly((db) => db.get('lists', key))
  }
  async keepList(key: string, list: KeptList): Promise<void> {
    await this.quietly((db) => db.put('lists', list, key))
  }

  async changes(): Promise<KeptChange[]> {
    const found = await this.quietly((db) => {
      const { store } = db.transaction('changes')
      return Promise.all([store.getAllKeys(), store.getAll()])
    })
    const [keys, values] = found ?? [[], []]
    return values.map((value, index) => ({ ...value, key: keys[index] as number }))
  }
  /** Its key; undefined: it could not be kept. */
  async keepChange(change: KeptChange): Promise<number | undefined> {
    return this.quietly((db) => db.add('changes', change))
  }
  async forgetChange(key: number | undefined): Promise<void> {
    if (key !== undefined) await this.quietly((db) => db.delete('changes', key))
  }

  async drafts(): Promise<[string, unknown][]> {
    const found = await this.quietly((db) => {
      const { store } = db.transaction('drafts')
      return Promise.all([store.getAllKeys(), store.getAll()])
    })
    const [keys, values] = found ?? [[], []]
    return keys.map((key, index) => [key, values[index]])
  }
  async draft(key: string): Promise<unknown> {
    return this.quietly((db) => db.get('drafts', key))
  }
  /** Whether it is kept. */
  async keepDraft(key: string, draft: unknown): Promise<boolean> {
    this.full = (await this.quietly((db) => db.put('drafts', draft, key))) === undefined
    return !this.full
  }
  async forgetDraft(key: string): Promise<void> {
    await this.quietly((db) => db.delete('drafts', key))
  }

  /** Drop what was not seen for longest, beyond the numbers kept. */
  async sweep(): Promise<void> {
    for (const name of ['emails', 'bodies', 'letters'] as const) {
      await this.quietly(async (db) => {
        const { store } = db.transaction(name, 'readwrite')
        let excess = (await store.count()) - KEEP[name]
        for (let cursor = await store.index('seen').openCursor(); cursor && excess > 0; excess--, cursor = await cursor.continue()) await cursor.delete()
      })
    }
  }
}
