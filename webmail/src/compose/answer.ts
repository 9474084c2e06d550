// Replies, forwards, and drafts taken up again.
import { trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import { Refused } from '../jmap/client'
import type { BodyPart, Email, EmailAddress, EmailBody, Id } from '../jmap/types'
import { allowedIn } from '../mail/allowed'
import { filesOf, fragment, htmlOf, letterOf, loadBodies, remoteOf, textOf, wholeBody } from '../mail/bodies'
import { pictured } from '../mail/pictures.svelte'
import { currentPlace } from '../mail/view.svelte'
import { mail } from '../store/mail.svelte'
import { shown } from '../store/shared.svelte'
import { composers, identityFor, nextKey, openComposer, type Attached } from './composers.svelte'
import { answerSubject, escapeHtml, forwarded, quoted, textToHtml } from './quote'
import { withSheet } from './sheet'
import { writer } from './writer'

const REFERENCES_MOST = 20

export async function answer(email: Email, how: 'reply' | 'reply-all' | 'forward'): Promise<void> {
  const loaded = await load(email, how === 'forward')
  if (!loaded) return
  const { html, styleSheet } = withSheet(loaded.html, loaded.styleSheet)
  const body = await brought(loaded.body)
  if (!body) return
  const addressed = [...(email.to ?? []), ...(body.cc ?? []), ...(email.from ?? [])]
  const identityId = await writer(email, addressed)
  if (identityId === undefined) return
  if (how === 'forward') {
    openComposer({
      identityId, styleSheet, subject: answerSubject(email.subject, t('compose.forward-prefix')), quote: forwarded(email, body, html),
      attachments: kept(filesOf(body), html), references: body.messageId, ...answers(email, '$forwarded'),
    })
    return
  }
  const people = recipients(email, body, how === 'reply-all')
  openComposer({
    ...people, identityId, styleSheet, subject: answerSubject(email.subject, t('compose.reply-prefix')), quote: quoted(email, html),
    attachments: kept(filesOf(body).filter((part) => isShown(part, html)), html),
    inReplyTo: body.messageId, references: chain(body), ...answers(email, '$answered'),
  })
}

/** What is noted of the answered message once the answer is sent, where one may. */
function answers({ id }: Email, keyword: '$answered' | '$forwarded') {
  const { client, isOwn } = shown()
  if (!allowedIn(currentPlace()).label) return {}
  return { answers: { id, keyword, ...(isOwn ? {} : { accountId: client.accountId }) } }
}
/** A message with its files in one's own account: what is another's is copied over (RFC 8620 §6.3). */
async function brought(body: EmailBody): Promise<EmailBody | undefined> {
  const from = shown()
  const blobIds = filesOf(body).flatMap((part) => part.blobId ?? [])
  if (from.isOwn || !blobIds.length) return body
  const batch = mail.client.batch()
  const call = batch.add<{ copied: Record<Id, Id> | null }>('Blob/copy', { fromAccountId: from.client.accountId, blobIds })
  try {
    await batch.send()
    const copied = call.result.copied ?? {}
    if (blobIds.some((id) => !copied[id])) throw new Refused('blobNotFound') // never an answer that lacks a file unsaid
    return { ...body, attachments: filesOf(body).map((part) => ({ ...part, blobId: copied[part.blobId ?? ''] ?? null })), htmlBody: [], textBody: [] }
  } catch (fault) {
    mail.meet(fault)
    trouble(t('read.failed'))
    return undefined
  }
}

/** Open a draft to go on with it. */
export async function editDraft(email: Email): Promise<void> {
  if (shows(email)) return
  const loaded = await load(email, true)
  if (!loaded || shows(email)) return // asked for twice while it was loaded
  const { body, html, styleSheet } = loaded
  openComposer({
    emailId: email.id, styleSheet, identityId: identityFor(email.from ?? []), to: email.to ?? [], cc: body.cc ?? [], bcc: body.bcc ?? [], subject: email.subject ?? '', html,
    plain: htmlOf(body) === undefined, attachments: kept(filesOf(body), html), inReplyTo: body.inReplyTo, references: body.references,
  })
}

/** Whether a window has it; that is put in front. */
function shows(email: Email): boolean {
  const open = composers().find((composer) => composer.emailId === email.id)
  if (open) open.window = 'docked'
  return open !== undefined
}

/** Its text as it can be written on. `whole`: with the pictures from elsewhere, as whoever gets it shall have them. */
async function load(email: Email, whole: boolean): Promise<{ body: EmailBody; html: string; styleSheet: string } | undefined> {
  try {
    await loadBodies([email.id])
    const body = await wholeBody(email.id)
    if (!body) return undefined
    if (htmlOf(body) === undefined) return { body, html: textToHtml(textOf(body)), styleSheet: '' }
    const holder = document.createElement('div')
    const letter = await letterOf(body)
    holder.append(fragment(letter, body, false))
    nameInline(holder, body)
    for (const picture of holder.querySelectorAll('img[data-waits]')) {
      if (whole) keepRemote(picture, pictured.has(email.id))
      else picture.remove()
    }
    return { body, html: holder.innerHTML, styleSheet: letter.styleSheet }
  } catch (fault) {
    mail.meet(fault)
    trouble(t('read.failed'))
    return undefined
  }
}
/** Pictures of the message itself keep their Content-ID, so that the answer can carry them along. */
function nameInline(holder: HTMLElement, body: EmailBody): void {
  const urls = new Map(filesOf(body).flatMap((part) => (part.cid && part.blobId ? [[shown().client.download(part.blobId, part.name ?? 'image', part.type), part.cid]] : [])))
  for (const picture of holder.querySelectorAll('img')) {
    const cid = urls.get(picture.getAttribute('src') ?? '')
    if (cid) picture.setAttribute('data-cid', cid)
  }
}
/** A picture from elsewhere is sent by its own address; while one writes it is shown, by the proxy, only where the reader wanted that. */
function keepRemote(picture: Element, show: boolean): void {
  const proxied = picture.getAttribute('data-waits') ?? ''
  const address = remoteOf(proxied)
  picture.removeAttribute('data-waits')
  if (!address) return picture.remove()
  picture.setAttribute('data-remote', address)
  if (show) picture.setAttribute('src', proxied)
}
/** Whether the text that is written shows it as a picture. */
function isShown({ cid }: BodyPart, html: string): boolean {
  return cid !== null && html.includes(`data-cid="${escapeHtml(cid)}"`)
}
function kept(parts: BodyPart[], html: string): Attached[] {
  return parts.flatMap((part) => {
    if (!part.blobId) return []
    const cid = part.cid && isShown(part, html) ? { cid: part.cid, url: mail.client.download(part.blobId, part.name ?? 'image', part.type) } : {}
    return [{ key: nextKey(), name: part.name ?? part.type, type: part.type, size: part.size, blobId: part.blobId, done: 1, ...cid }]
  })
}

/** RFC 5322 §3.6.4: the parent's references and its own Message-ID. */
function chain(body: EmailBody): string[] {
  const all = [...(body.references ?? body.inReplyTo ?? []), ...(body.messageId ?? [])]
  return all.length > REFERENCES_MOST ? [all[0] as string, ...all.slice(1 - REFERENCES_MOST)] : all
}

/** To whom an answer goes; an answer to what one wrote oneself goes on to the same people. */
export function recipients(email: Email, body: EmailBody, all: boolean): { to: EmailAddress[]; cc: EmailAddress[] } {
  const own = new Set(mail.identities.map((identity) => identity.email.toLowerCase()))
  const mine = own.has(email.from?.[0]?.email.toLowerCase() ?? '')
  const first = mine ? (email.to ?? []) : (body.replyTo?.length ? body.replyTo : (email.from ?? []))
  const seen = new Set<string>()
  const fresh = (people: EmailAddress[], skipOwn: boolean) =>
    people.filter((person) => {
      const key = person.email.toLowerCase()
      if (seen.has(key) || (skipOwn && own.has(key))) return false
      seen.add(key)
      return true
    })
  const to = fresh(first, false)
  if (!all) return { to, cc: [] }
  const more = mine ? [] : fresh(email.to ?? [], true)
  return { to: [...to, ...more], cc: fresh(body.cc ?? [], true) }
}
