// Windows in which messages are written. What is in them is saved as drafts on the server, and on the device when that fails.
import type { EmailAddress, Id } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import { textToHtml } from './quote'

export interface Attached {
  key: number
  name: string
  type: string
  size: number
  blobId?: Id
  /** Part of one that is uploaded; 1 when it is there. */
  done: number
  failed?: boolean
  /** Content-ID of a picture in the text. */
  cid?: string
  /** Address of a picture in the text while it is written. */
  url?: string
}
export interface Draft {
  key: string
  identityId: Id
  to: EmailAddress[]
  cc: EmailAddress[]
  bcc: EmailAddress[]
  subject: string
  html: string
  plain: boolean
  /** Of the letters that it passes on or quotes. */
  styleSheet?: string
  attachments: Attached[]
  inReplyTo: string[] | null
  references: string[] | null
  /** The message this answers or passes on: it gets $answered or $forwarded. */
  answers?: { id: Id; keyword: '$answered' | '$forwarded'; accountId?: Id }
  /** The draft as the server has it. */
  emailId?: Id
  /** Drafts of before, which it takes the place of and which are still to be destroyed. */
  outdated?: Id[]
  /** Without angle brackets. It stays the same from save to save, so that one can find out whether the message has left. */
  messageId: string
  /** Sending got no answer: it may have left. */
  uncertain?: boolean
  /** To be sent when the connection is back; `at`: not before that moment (milliseconds since 1970). */
  putOff?: { at?: number }
}
export type Saved = 'new' | 'changed' | 'saving' | 'saved' | 'failed'
export interface Composer extends Draft {
  window: 'docked' | 'folded' | 'large'
  saved: Saved
  savedAt?: Date
  showCc: boolean
  sending: boolean
  /** It was sent or discarded: nothing of it is kept any more. */
  over: boolean
}
const MOST = 4
const state = $state<{ all: Composer[] }>({ all: [] })
let next = 1

export function composers(): Composer[] {
  return state.all
}
export function nextKey(): number {
  return next++
}

/** The identity that writes: the one addressed, else the first. */
export function identityFor(people: EmailAddress[]): Id {
  const addressed = new Set(people.map((person) => person.email.toLowerCase()))
  return (mail.identities.find((identity) => addressed.has(identity.email.toLowerCase())) ?? mail.identities[0])?.id ?? ''
}
export function signature(identityId: Id): string {
  const identity = mail.identities.find((each) => each.id === identityId)
  const html = identity?.htmlSignature || (identity?.textSignature ? textToHtml(identity.textSignature) : '')
  return html ? `<div class="signature"><div>-- </div>${html}</div>` : ''
}

/** Open a window. A new text gets the signature between itself and what it quotes. `unsaved`: the server has not all of it. */
export function openComposer(start: Partial<Draft> & { quote?: string; unsaved?: boolean }): Composer {
  const { quote = '', unsaved = false, ...values } = start
  const identityId = values.identityId ?? identityFor([])
  const own = values.emailId || unsaved ? (values.html ?? '') : `${values.html || '<div><br></div>'}${sign(identityId)}${quote}`
  const composer: Composer = {
    key: crypto.randomUUID(), to: [], cc: [], bcc: [], subject: '', plain: false, inReplyTo: null, references: null,
    messageId: `${crypto.randomUUID()}@${hostOf(identityId)}`, window: 'docked', saved: unsaved ? 'failed' : values.emailId ? 'saved' : 'new', showCc: Boolean(values.cc?.length || values.bcc?.length), sending: false, over: false,
    ...values, identityId, html: own,
    attachments: (values.attachments ?? []).filter((file) => file.blobId).map((file) => ({ ...file, key: nextKey() })), // an upload ends with its page
  }
  for (const other of state.all) if (other.window !== 'folded') other.window = 'folded'
  state.all.push(composer)
  while (state.all.length > MOST) state.all.shift()
  return state.all.at(-1) as Composer
}
function hostOf(identityId: Id): string {
  return mail.identities.find((each) => each.id === identityId)?.email.split('@').at(-1) || 'localhost'
}
function sign(identityId: Id): string {
  const text = signature(identityId)
  return text ? `<div><br></div>${text}` : ''
}

/** What a window holds, without the window. */
export function draftOf(composer: Draft): Draft {
  const { window: _window, saved: _saved, savedAt: _at, showCc: _cc, sending: _sending, over: _over, ...draft } = JSON.parse(JSON.stringify(composer)) as Composer
  return draft
}
export function everybody(draft: Draft): EmailAddress[] {
  return [...draft.to, ...draft.cc, ...draft.bcc]
}
export function closeComposer(key: string): void {
  state.all = state.all.filter((composer) => composer.key !== key)
}
export function isEmpty(draft: Draft): boolean {
  const text = draft.html.replace(/<div class="signature">.*$/s, '').replace(/<[^>]*>|&nbsp;|\s/g, '')
  return !text && !draft.subject && !draft.to.length && !draft.cc.length && !draft.bcc.length && !draft.attachments.length
}
