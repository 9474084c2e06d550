// Changes on their way to the server, in order. They are shown at once, kept on the device until the server took them, sent
// again when the connection is back, and rolled back when the server refuses.
import { Refused, SignedOut, Unreachable, type JmapClient } from '../jmap/client'
import type { Email, Id, Patch, SetError } from '../jmap/types'
import type { Cache } from './cache'
import { patched } from './patch'

interface Change {
  updates: Record<Id, Patch>
  /** Where the device keeps it; undefined: it could not be kept. */
  key: Promise<number | undefined>
}
export interface OutboxEvents {
  /** The server refused these; what was shown is wrong. */
  refused(errors: Record<Id, SetError>): void
  unreachable(): void
  signedOut(): void
}
const BATCH = 500

export class Outbox {
  private waiting: Change[] = []
  private sending: Promise<void> | undefined
  private idlers: (() => void)[] = []

  constructor(
    private readonly client: JmapClient,
    private readonly cache: Cache,
    private readonly events: OutboxEvents,
  ) {}

  /** Take up what an earlier visit could not send. */
  async restore(): Promise<void> {
    this.waiting = (await this.cache.changes()).map(({ updates, key }) => ({ updates, key: Promise.resolve(key) }))
  }

  get empty(): boolean {
    return this.waiting.length === 0
  }
  get size(): number {
    return this.waiting.length
  }

  /** A message as it will be once everything under way has arrived. */
  shown<T extends Email>(email: T): T {
    return this.waiting.reduce((made, change) => {
      const patch = change.updates[email.id]
      return patch ? patched(made, patch) : made
    }, email)
  }

  /** Queue a change and start sending: a device that is slow or full to keep it keeps nobody from that. */
  add(updates: Record<Id, Patch>): void {
    this.waiting.push({ updates, key: this.cache.keepChange({ updates }) })
    void this.flush()
  }

  /** Send what waits, in order. Returns when nothing waits or the server cannot be reached. */
  flush(): Promise<void> {
    this.sending ??= this.sendAll()
      .finally(() => (this.sending = undefined))
      .then((all) => {
        if (this.waiting.length === 0) for (const wake of this.idlers.splice(0)) wake()
        else if (all) return this.flush() // it came when the last had just been sent
      })
    return this.sending
  }

  /** Wait until nothing is under way; at once when offline. */
  async settled(online: boolean): Promise<void> {
    if (!this.empty && online) await new Promise<void>((resolve) => this.idlers.push(resolve))
  }

  /** Whether all was sent. */
  private async sendAll(): Promise<boolean> {
    for (;;) {
      const change = this.waiting[0]
      if (!change) return true
      try {
        await this.send(change.updates)
      } catch (fault) {
        if (fault instanceof Unreachable) this.events.unreachable()
        else if (fault instanceof SignedOut) this.events.signedOut()
        if (fault instanceof Unreachable || fault instanceof SignedOut) return false
        const type = fault instanceof Refused ? fault.type : String(fault)
        this.events.refused(Object.fromEntries(Object.keys(change.updates).map((id) => [id, { type }])))
      }
      this.waiting.shift()
      await this.cache.forgetChange(await change.key)
    }
  }

  private async send(updates: Record<Id, Patch>): Promise<void> {
    const entries = Object.entries(updates)
    const size = Math.min(BATCH, this.client.limit('maxObjectsInSet', BATCH))
    const refused: Record<Id, SetError> = {}
    for (let start = 0; start < entries.length; start += size) {
      const batch = this.client.batch()
      const set = batch.set('Email', { update: Object.fromEntries(entries.slice(start, start + size)) })
      await batch.send()
      Object.assign(refused, set.result.notUpdated ?? {})
    }
    if (Object.keys(refused).length) this.events.refused(refused)
  }
}
