// Mail out of the house, by JMAP alone: each message is fetched, and all become one file made in the browser.
import { BlobReader, BlobWriter, ZipWriter, configure } from '@zip.js/zip.js/index-native.js'
import { mail } from '../../store/mail.svelte'
import { emailsIn, type Exported, type Place } from './folders'
import { mboxPart } from './mbox'

export type Form = 'mbox' | 'eml'
export interface Progress {
  done: number
  total: number
}
const AT_ONCE = 6
const WANTED = ['blobId', 'size', 'receivedAt', 'keywords', 'from', 'subject', 'messageId']

/** A file with the mail of these mailboxes, and its name. Throws what fetching throws; stops when `signal` says so. */
export async function exported(places: Place[], form: Form, tell: (progress: Progress) => void, signal: AbortSignal): Promise<{ name: string; file: Blob }> {
  configure({ useWebWorkers: false }) // our policy lets no script come from a blob
  const progress = { done: 0, total: places.reduce((sum, place) => sum + place.total, 0) }
  const step = () => tell({ done: ++progress.done, total: Math.max(progress.total, progress.done) })
  const only = places.length === 1 ? places[0] : undefined
  if (form === 'mbox' && only) return { name: `${fileName(only.path)}.mbox`, file: await mboxOf(only, step, signal) }
  const zip = new ZipWriter(new BlobWriter('application/zip'))
  for (const place of places) {
    if (form === 'mbox') await zip.add(`${place.path.split('/').map(fileName).join('/')}.mbox`, new BlobReader(await mboxOf(place, step, signal)))
    else await addMessages(zip, place, step, signal)
  }
  return { name: `${fileName(only?.path ?? mail.client.session.username)}.zip`, file: await zip.close() }
}

async function mboxOf(place: Place, step: () => void, signal: AbortSignal): Promise<Blob> {
  const parts: Blob[] = [] // blobs, which the browser may keep on disk
  for await (const emails of emailsIn(place.id, WANTED, signal)) {
    await each(emails, async (email) => new Blob([mboxPart(new Uint8Array(await (await raw(email, signal)).arrayBuffer()), email)]), (part) => {
      parts.push(part)
      step()
    })
  }
  return new Blob(parts, { type: 'application/mbox' })
}

async function addMessages(zip: ZipWriter<Blob>, place: Place, step: () => void, signal: AbortSignal): Promise<void> {
  const folder = place.path.split('/').map(fileName).join('/')
  for await (const emails of emailsIn(place.id, WANTED, signal)) {
    await each(emails, (email) => raw(email, signal), async (file, email) => {
      const name = `${email.receivedAt.slice(0, 10)} ${fileName(email.subject ?? '').slice(0, 60)} ${email.id}.eml`
      await zip.add(`${folder}/${name}`, new BlobReader(file), { lastModDate: new Date(email.receivedAt) })
      step()
    })
  }
}

async function raw(email: Exported, signal: AbortSignal): Promise<Blob> {
  const response = await mail.client.fetch(mail.client.download(email.blobId, 'message.eml', 'message/rfc822'), { signal })
  return response.blob()
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
