// Mail out of the house, by JMAP alone: each message is fetched, and all become one file made in the browser.
import { BlobReader, BlobWriter, ZipWriter, configure } from '@zip.js/zip.js/index-native.js'
import { Refused, SignedOut, Unreachable } from '../../jmap/client'
import { mail } from '../../store/mail.svelte'
import { emailsIn, patiently, type Exported, type Place } from './folders'
import { mboxPart } from './mbox'

export type Form = 'mbox' | 'eml'
export interface Progress {
  done: number
  total: number
}
/** What was made, and what is not in it because the server could not give it whole. */
export interface Made {
  name: string
  file: Blob
  lost: Exported[]
}
const AT_ONCE = 6
/** How often a message that comes cut off is asked for. */
const TRIES = 3
const WANTED = ['blobId', 'size', 'receivedAt', 'keywords', 'from', 'subject', 'messageId']

/** A file with the mail of these mailboxes. Throws what fetching throws; stops when `signal` says so. */
export async function exported(places: Place[], form: Form, tell: (progress: Progress) => void, signal: AbortSignal): Promise<Made> {
  configure({ useWebWorkers: false }) // our policy lets no script come from a blob
  const progress = { done: 0, total: places.reduce((sum, place) => sum + place.total, 0) }
  const lost: Exported[] = []
  const step = (missing?: Exported) => {
    if (missing) lost.push(missing)
    tell({ done: ++progress.done, total: Math.max(progress.total, progress.done) })
  }
  const only = places.length === 1 ? places[0] : undefined
  if (form === 'mbox' && only) return { name: `${fileName(only.path)}.mbox`, file: await mboxOf(only, step, signal), lost }
  const zip = new ZipWriter(new BlobWriter('application/zip'))
  for (const place of places) {
    if (form === 'mbox') await zip.add(`${place.path.split('/').map(fileName).join('/')}.mbox`, new BlobReader(await mboxOf(place, step, signal)))
    else await addMessages(zip, place, step, signal)
  }
  return { name: `${fileName(only?.path ?? mail.client.session.username)}.zip`, file: await zip.close(), lost }
}

type Step = (missing?: Exported) => void

async function mboxOf(place: Place, step: Step, signal: AbortSignal): Promise<Blob> {
  const parts: Blob[] = [] // blobs, which the browser may keep on disk
  for await (const emails of emailsIn(place.id, WANTED, signal)) {
    const part = async (email: Exported) => {
      const file = await raw(email, signal)
      return file && new Blob([mboxPart(new Uint8Array(await file.arrayBuffer()), email)])
    }
    await each(emails, part, (made, email) => {
      if (made) parts.push(made)
      step(made ? undefined : email)
    })
  }
  return new Blob(parts, { type: 'application/mbox' })
}

async function addMessages(zip: ZipWriter<Blob>, place: Place, step: Step, signal: AbortSignal): Promise<void> {
  const folder = place.path.split('/').map(fileName).join('/')
  for await (const emails of emailsIn(place.id, WANTED, signal)) {
    await each(emails, (email) => raw(email, signal), async (file, email) => {
      const name = `${email.receivedAt.slice(0, 10)} ${fileName(email.subject ?? '').slice(0, 60)} ${email.id}.eml`
      if (file) await zip.add(`${folder}/${name}`, new BlobReader(file), { lastModDate: new Date(email.receivedAt) })
      step(file ? undefined : email)
    })
  }
}

/** A message, with as many octets as the server counts; undefined: it cannot be had, while others can. */
async function raw(email: Exported, signal: AbortSignal): Promise<Blob | undefined> {
  for (let tries = 1; tries <= TRIES; tries++) {
    try {
      const response = await patiently(() => mail.client.fetch(mail.client.download(email.blobId, 'message.eml', 'message/rfc822'), { signal }), signal)
      const file = await response.blob()
      if (file.size === email.size) return file
    } catch (fault) {
      signal.throwIfAborted()
      if (fault instanceof SignedOut || fault instanceof Unreachable) throw fault
      if (fault instanceof Refused) return undefined
    }
  }
  return undefined
}

/** Work on several at once, take what comes in order. */
async function each<T>(emails: Exported[], work: (email: Exported) => Promise<T>, take: (made: T, email: Exported) => void | Promise<void>): Promise<void> {
  const under: Promise<T>[] = []
  let next = 0
  const start = () => {
    if (next >= emails.length) return
    const running = work(emails[next++] as Exported)
    running.catch(() => {}) // told when it is awaited
    under.push(running)
  }
  for (let count = 0; count < AT_ONCE; count++) start()
  for (const email of emails) {
    const made = await (under.shift() as Promise<T>)
    start()
    await take(made, email)
  }
}

/** A name that every system takes for a file. */
export function fileName(text: string): string {
  return text.replace(/[\u0000-\u001f<>:"/\\|?*]+/g, ' ').trim().replace(/^\.+|\.+$/g, '') || 'mail'
}
