// Mail into the house, by JMAP alone: mbox files, single messages, and zip files with either, folders kept.
import { BlobReader, BlobWriter, ZipReader, configure, type FileEntry } from '@zip.js/zip.js/index-native.js'
import { own } from '../own'
import { Refused } from '../../jmap/client'
import type { Id } from '../../jmap/types'
import { mail } from '../../store/mail.svelte'
import { mailboxAt, messageIdsIn, places } from './folders'
import { readMbox, textOf, withCrlf, type Found } from './mbox'

export interface Outcome {
  taken: number
  known: number
  refused: number
  /** Files that are neither. */
  strange: string[]
}
export type Tell = (part: number, outcome: Outcome) => void
const BATCH = 20
const UPLOADS = 4

class Importer {
  readonly outcome: Outcome = { taken: 0, known: 0, refused: 0, strange: [] }
  part = 0
  private readonly boxes = new Map<string, Id>()
  private readonly seen = new Map<Id, Set<string>>()
  private waiting: { mailboxId: Id; found: Found }[] = []

  constructor(
    private readonly target: Id,
    private readonly tell: Tell,
    private readonly signal: AbortSignal,
  ) {
    for (const place of places()) this.boxes.set(place.path.toLowerCase(), place.id)
  }

  /** A file, by what it holds; `path`: where a zip has it, empty for one that was chosen itself. */
  async file(file: Blob, name: string, folder: string, span: [number, number]): Promise<void> {
    const lower = name.toLowerCase()
    if (lower.endsWith('.zip') && !folder) return this.zip(file, span)
    const mailboxId = folder ? await mailboxAt(folder, this.boxes) : this.target
    if (lower.endsWith('.eml')) return this.add(mailboxId, { raw: withCrlf(new Uint8Array(await file.arrayBuffer())), keywords: { $seen: true } })
    let before = 0
    const counted = file.stream().pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array>({
        transform: (chunk, control) => {
          before += chunk.length
          this.part = span[0] + ((span[1] - span[0]) * before) / Math.max(1, file.size)
          control.enqueue(chunk)
        },
      }),
    )
    try {
      for await (const found of readMbox(counted)) await this.add(mailboxId, found)
    } catch (fault) {
      if (!(fault instanceof Error) || fault.message !== 'no mbox') throw fault
      this.outcome.strange.push(name)
    }
  }

  private async zip(file: Blob, span: [number, number]): Promise<void> {
    configure({ useWebWorkers: false })
    const reader = new ZipReader(new BlobReader(file))
    const entries = (await reader.getEntries()).filter((entry): entry is FileEntry => !entry.directory && !/(^|\/)(\.|__MACOSX)/.test(entry.filename))
    const step = (span[1] - span[0]) / Math.max(1, entries.length)
    for (const [index, entry] of entries.entries()) {
      this.signal.throwIfAborted()
      const path = entry.filename.split('/')
      const name = path.pop() as string
      const folder = (/\.mbox$/i.test(name) ? [...path, name.slice(0, -5)] : path).map((part) => part.trim()).filter(Boolean).join('/')
      const start = span[0] + step * index
      this.part = start
      if (!/\.(eml|mbox)$/i.test(name)) this.outcome.strange.push(entry.filename)
      else await this.file(await entry.getData(new BlobWriter()), name, folder.replace(/^inbox$/i, 'INBOX'), [start, start + step])
    }
    await reader.close()
  }

  private async add(mailboxId: Id, found: Found): Promise<void> {
    this.signal.throwIfAborted()
    if (found.raw.length === 0) return
    const known = this.seen.get(mailboxId) ?? (await messageIdsIn(mailboxId, this.signal))
    this.seen.set(mailboxId, known)
    const id = messageId(found.raw)
    if (id && known.has(id)) {
      this.outcome.known++
      return this.tell(this.part, this.outcome)
    }
    if (id) known.add(id)
    this.waiting.push({ mailboxId, found })
    if (this.waiting.length >= BATCH) await this.flush()
  }

  /** Hand over what waits. */
  async flush(): Promise<void> {
    const batch = this.waiting
    this.waiting = []
    if (batch.length === 0) return
    const uploaded: (Id | undefined)[] = []
    for (let start = 0; start < batch.length; start += UPLOADS) uploaded.push(...(await Promise.all(batch.slice(start, start + UPLOADS).map(({ found }) => this.upload(found)))))
    const emails = Object.fromEntries(
      batch.flatMap(({ mailboxId, found }, index) => {
        const blobId = uploaded[index]
        return blobId ? [[`m${index}`, { blobId, mailboxIds: { [mailboxId]: true }, keywords: found.keywords, ...(found.receivedAt ? { receivedAt: found.receivedAt } : {}) }]] : []
      }),
    )
    const answer = await own<{ created: Record<string, unknown> | null; notCreated: Record<string, { type: string; description?: string }> | null }>('Email/import', { emails })
    this.outcome.taken += Object.keys(answer.created ?? {}).length
    for (const fault of Object.values(answer.notCreated ?? {})) {
      if (fault.type === 'overQuota') throw new Refused(fault.type, fault.description)
      if (fault.type === 'alreadyExists') this.outcome.known++
      else this.outcome.refused++
    }
    this.tell(this.part, this.outcome)
  }

  /** undefined: it is larger than a message may be here; the others are taken all the same. */
  private async upload({ raw }: Found): Promise<Id | undefined> {
    try {
      return (await mail.client.upload(new Blob([raw], { type: 'message/rfc822' }), undefined, this.signal)).blobId
    } catch (fault) {
      if (!(fault instanceof Refused) || fault.type !== 'tooLarge') throw fault
      this.outcome.refused++
      return undefined
    }
  }
}

function messageId(raw: Uint8Array): string | undefined {
  const head = textOf(raw.subarray(0, 32_768)).split(/\r?\n\r?\n/, 1)[0] as string
  return /^message-id:\s*<([^>\s]+)>/im.exec(head)?.[1]
}

/** Take files into a mailbox (zip files: into folders as they name them). What was already there is passed over. */
export async function imported(files: File[], target: Id, tell: Tell, signal: AbortSignal): Promise<Outcome> {
  const importer = new Importer(target, tell, signal)
  const whole = files.reduce((sum, file) => sum + file.size, 0) || 1
  let before = 0
  for (const file of files) {
    await importer.file(file, file.name, '', [before / whole, (before + file.size) / whole])
    before += file.size
  }
  await importer.flush()
  tell(1, importer.outcome)
  return importer.outcome
}
