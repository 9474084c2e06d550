// A draft as the Email object that the server makes a message of (RFC 8621 §4.6).
import type { Email } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import type { Draft } from './composers.svelte'
import { htmlToText } from './quote'
import { sheetFor } from './sheet'

type NewEmail = Record<string, unknown>

export function newEmail(draft: Draft): NewEmail {
  const identity = mail.identities.find((each) => each.id === draft.identityId)
  const drafts = mail.role('drafts')?.id ?? ''
  const ready = draft.attachments.filter((file) => file.blobId)
  const inline = ready.filter((file) => file.cid && draft.html.includes(`data-cid="${file.cid}"`) && !draft.plain)
  const files = ready.filter((file) => !inline.includes(file) && !file.cid)
  const text = { partId: 'text', type: 'text/plain' }
  const parts: NewEmail = draft.plain
    ? { bodyStructure: withFiles(text, files), bodyValues: { text: { value: htmlToText(draft.html, true) } } }
    : {
        bodyStructure: withFiles({ type: 'multipart/alternative', subParts: [text, related(inline)] }, files),
        bodyValues: { text: { value: htmlToText(draft.html) }, html: { value: outgoing(draft.html, sheetFor(draft.html, draft.styleSheet)) } },
      }
  return {
    mailboxIds: { [drafts]: true },
    keywords: { $draft: true, $seen: true },
    from: identity ? [{ name: identity.name || null, email: identity.email }] : null,
    to: draft.to.length ? draft.to : null,
    cc: draft.cc.length ? draft.cc : null,
    bcc: draft.bcc.length ? draft.bcc : null,
    replyTo: identity?.replyTo ?? null,
    subject: draft.subject,
    messageId: [draft.messageId],
    inReplyTo: draft.inReplyTo,
    references: draft.references,
    sentAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    ...parts,
  }
}

function related(inline: Draft['attachments']): NewEmail {
  const html = { partId: 'html', type: 'text/html' }
  return inline.length ? { type: 'multipart/related', subParts: [html, ...inline.map((file) => part(file, 'inline'))] } : html
}
function withFiles(content: NewEmail, files: Draft['attachments']): NewEmail {
  return files.length ? { type: 'multipart/mixed', subParts: [content, ...files.map((file) => part(file, 'attachment'))] } : content
}
function part(file: Draft['attachments'][number], disposition: string): NewEmail {
  return { blobId: file.blobId, type: file.type || 'application/octet-stream', name: file.name, disposition, ...(file.cid ? { cid: file.cid } : {}) }
}

/** The editor's HTML as it is sent: pictures by their Content-ID or their address elsewhere, no traces of the editor. */
function outgoing(html: string, sheet: string): string {
  const page = new DOMParser().parseFromString(html, 'text/html')
  for (const picture of page.querySelectorAll('img[data-cid]')) {
    picture.setAttribute('src', `cid:${picture.getAttribute('data-cid') ?? ''}`)
    picture.removeAttribute('data-cid')
  }
  for (const picture of page.querySelectorAll('img[data-remote]')) {
    const address = picture.getAttribute('data-remote') ?? ''
    if (/^https?:/i.test(address)) picture.setAttribute('src', address)
    picture.removeAttribute('data-remote')
  }
  return `<!DOCTYPE html><html><head><meta charset="utf-8">${sheet && `<style>${sheet}</style>`}</head><body>${page.body.innerHTML}</body></html>`
}

export type { Email }
