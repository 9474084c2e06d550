// Texts of messages: fetched once, since they never change; the neighbours of an open one before somebody asks.
import DOMPurify from 'dompurify'
import type { BodyPart, EmailBody, Id } from '../jmap/types'
import type { SafeHtml } from '../store/cache'
import type { MailStore } from '../store/mail.svelte'
import { shown } from '../store/shared.svelte'

export const BODY_PROPERTIES = ['id', 'messageId', 'inReplyTo', 'references', 'sender', 'cc', 'bcc', 'replyTo', 'bodyValues', 'textBody', 'htmlBody', 'attachments', 'headers', 'verdict']
const PART_PROPERTIES = ['partId', 'blobId', 'size', 'name', 'type', 'charset', 'disposition', 'cid']
const MOST_OCTETS = 1_000_000
const HELD = 200
const SAFE = '/mail/safe'
const REMOTE = 'remote:'
const PROXY = '/mail/image?'
const PICTURE = /^image\/(?!svg)/

const asked = new WeakMap<MailStore, Map<Id, Promise<void>>>()

/** The text of a message of the account that is shown, once it was loaded. */
export function bodyOf(id: Id): EmailBody | undefined {
  return shown().bodies.get(id)
}

/** Load the texts of messages that aren't here yet: from the device, then from the server. */
export async function loadBodies(ids: Id[]): Promise<void> {
  const mail = shown()
  const loading = asked.get(mail) ?? new Map<Id, Promise<void>>()
  asked.set(mail, loading)
  const missing = ids.filter((id) => !mail.bodies.has(id) && !loading.has(id))
  if (missing.length) {
    const fetching = fetchBodies(mail, missing).finally(() => missing.forEach((id) => loading.delete(id)))
    for (const id of missing) loading.set(id, fetching)
  }
  await Promise.all(ids.map((id) => loading.get(id)))
}

/** Its text whole, however long: what is shown may be cut. */
export async function wholeBody(id: Id): Promise<EmailBody | undefined> {
  const held = bodyOf(id)
  if (!held || !isTruncated(held)) return held
  const batch = shown().client.batch()
  const call = batch.get<EmailBody>('Email', { ids: [id], properties: BODY_PROPERTIES, bodyProperties: PART_PROPERTIES, fetchTextBodyValues: true, fetchHTMLBodyValues: true })
  await batch.send()
  return call.result.list[0]
}

async function fetchBodies(mail: MailStore, ids: Id[]): Promise<void> {
  const hold = (body: EmailBody) => holdIn(mail, body)
  const kept = await Promise.all(ids.map((id) => mail.cache.body(id)))
  for (const body of kept) if (body) hold(body)
  const rest = ids.filter((id) => !mail.bodies.has(id))
  if (!rest.length) return
  const batch = mail.client.batch()
  const call = batch.get<EmailBody>('Email', { ids: rest, properties: BODY_PROPERTIES, bodyProperties: PART_PROPERTIES, fetchTextBodyValues: true, fetchHTMLBodyValues: true, maxBodyValueBytes: MOST_OCTETS })
  await batch.send()
  call.result.list.forEach(hold)
  void mail.cache.keepBodies(call.result.list)
}

function holdIn({ bodies }: MailStore, body: EmailBody): void {
  bodies.delete(body.id)
  bodies.set(body.id, body)
  for (const old of [...bodies.keys()].slice(0, Math.max(0, bodies.size - HELD))) bodies.delete(old)
}

/** The HTML of a message as it was sent; undefined: it is plain text. */
export function htmlOf(body: EmailBody): string | undefined {
  const parts = body.htmlBody.filter((part) => part.type === 'text/html')
  if (!parts.length) return undefined
  return body.htmlBody.map((part) => htmlOfPart(part, body)).join('<hr>')
}
function htmlOfPart(part: BodyPart, body: EmailBody): string {
  const value = part.partId ? (body.bodyValues[part.partId]?.value ?? '') : ''
  if (part.type === 'text/html') return value
  if (part.type.startsWith('text/')) return `<pre>${value.replace(/[&<>]/g, (each) => `&#${each.charCodeAt(0)};`)}</pre>`
  return part.cid ? `<img src="cid:${encodeURIComponent(part.cid)}">` : ''
}
export function textOf(body: EmailBody): string {
  return body.textBody.map((part) => (part.partId ? (body.bodyValues[part.partId]?.value ?? '') : '')).join('\n\n')
}
/** Its files, also those that stand between its texts (as telephones send pictures; RFC 8621 §4.1.4 counts them to the body). */
export function filesOf(body: EmailBody): BodyPart[] {
  const known = new Set(body.attachments.map((part) => part.blobId))
  const within = [...body.htmlBody, ...body.textBody].filter(({ type, blobId }) => !type.startsWith('text/') && !known.has(blobId) && known.add(blobId))
  return [...body.attachments, ...within]
}
/** Whether the letter `html` shows the part. Many programs give every file a Content-ID, or call it inline. */
export function isShownIn(html: string | undefined, { cid, type }: BodyPart): boolean {
  return Boolean(html && cid && PICTURE.test(type) && (html.includes(cid) || html.includes(encodeURIComponent(cid))))
}
export function isTruncated(body: EmailBody): boolean {
  return Object.values(body.bodyValues).some((value) => value.isTruncated)
}

/** The first layer: the server's cleaning. The second is `fragment`, the third the closed frame. */
export async function letterOf(body: EmailBody): Promise<SafeHtml> {
  const mail = shown()
  const seen = mail.bodies.get(body.id)
  const isLonger = seen !== undefined && isTruncated(seen) && !isTruncated(body) // what is held was made of less
  const held = isLonger ? undefined : (mail.letters.get(body.id) ?? (await mail.cache.letter(body.id)))
  if (held) return held
  const response = await mail.client.fetch(SAFE, { method: 'POST', body: htmlOf(body) ?? '', headers: { 'content-type': 'text/html; charset=utf-8' } })
  const made = (await response.json()) as SafeHtml
  if (isLonger) return made
  mail.letters.set(body.id, made)
  void mail.cache.keepLetter(body.id, made)
  return made
}

/** The second layer: sanitised again, its pictures pointed at the message's own parts and, when wanted, at our proxy. */
export function fragment(letter: SafeHtml, body: Pick<EmailBody, 'attachments' | 'htmlBody'>, images: boolean): DocumentFragment {
  const made = DOMPurify.sanitize(letter.html, {
    RETURN_DOM_FRAGMENT: true,
    USE_PROFILES: { html: true },
    FORBID_TAGS: ['form', 'input', 'button', 'select', 'textarea', 'style', 'video', 'audio', 'source', 'dialog', 'template', 'slot'],
    FORBID_ATTR: ['srcset', 'ping', 'autofocus', 'id', 'name', 'action', 'formaction', 'contenteditable'],
    // Schemes of ours, or no scheme at all: the expression judges every attribute's value, so also colours and widths.
    ALLOWED_URI_REGEXP: /^(?:(?:https?|mailto|tel|sms|xmpp|cid|remote):|[^a-z]|[a-z+.-]+(?:[^a-z+.:-]|$))/i,
    ADD_DATA_URI_TAGS: ['img'],
  })
  const parts = new Map([...body.attachments, ...body.htmlBody].filter((part) => part.cid && part.blobId).map((part) => [part.cid as string, part]))
  for (const element of made.querySelectorAll('[src], [background], [poster]')) {
    for (const name of ['src', 'background', 'poster']) {
      const value = element.getAttribute(name)
      if (value !== null) setPicture(element, name, value, parts, images)
    }
  }
  for (const link of made.querySelectorAll('a[href], area[href]')) {
    if (/^(?:https?|mailto|tel|sms|xmpp):/i.test(link.getAttribute('href') ?? '')) {
      link.setAttribute('target', '_blank')
      link.setAttribute('rel', 'noopener noreferrer nofollow')
    } else link.removeAttribute('href')
  }
  return made
}

function setPicture(element: Element, name: string, value: string, parts: Map<string, BodyPart>, images: boolean): void {
  if (value.startsWith('data:image/')) return
  if (value.startsWith('cid:')) {
    const part = parts.get(decoded(value.slice(4)))
    if (part?.blobId && PICTURE.test(part.type)) return element.setAttribute(name, shown().client.download(part.blobId, part.name ?? 'image', part.type))
  } else if (value.startsWith(REMOTE + PROXY)) {
    const proxied = value.slice(REMOTE.length)
    if (images) element.setAttribute(name, proxied)
    else {
      element.setAttribute('data-waits', proxied)
      element.removeAttribute(name)
    }
    return
  }
  element.removeAttribute(name)
}
/** The address elsewhere for which the proxy's stands. */
export function remoteOf(proxied: string): string | undefined {
  const address = new URLSearchParams(proxied.slice(PROXY.length)).get('url') ?? ''
  return proxied.startsWith(PROXY) && /^https?:/i.test(address) ? address : undefined
}
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
