// Sending: the server holds the message for a while (FUTURERELEASE, RFC 4865), so that taking it back works even when this
// computer is closed meanwhile.
import { nearDate } from '../design/format'
import { dismiss, notify, trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import { Refused, SUBMISSION, Unreachable } from '../jmap/client'
import type { Email, EmailSubmission, Id } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import { shared } from '../store/shared.svelte'
import { at } from '../store/patch'
import { closeComposer, draftOf, everybody, openComposer, type Composer, type Draft } from './composers.svelte'
import { forgetHere, keepNow, keptDrafts, withKept } from './keeping'
import { newEmail } from './message'
import { clear, replaceBy, save } from './saving'
import { answeredBy, traceOf } from './sent'
import { undoSeconds } from './undo.svelte'

/** Send the window's message: after `undoSeconds`, or at `when`. Without a connection it is kept and sent when there is one. */
export async function send(composer: Composer, when?: Date): Promise<boolean> {
  composer.sending = true
  if (!mail.online && mail.cache.lasting) return putOff(composer, when)
  if (composer.uncertain && (await hasLeft(composer))) return true
  await save(composer).catch(() => undefined) // the last save must not come after the message has left
  const batch = mail.client.batch()
  const email = batch.set<Email>('Email', { create: { message: newEmail(composer) } })
  const submission = batch.set<EmailSubmission>('EmailSubmission', {
    create: { send: { emailId: '#message', identityId: composer.identityId, envelope: envelope(composer, when) } },
    onSuccessUpdateEmail: { '#send': { mailboxIds: { [mail.role('sent')?.id ?? '']: true }, [at('keywords', '$draft')]: null } },
  })
  try {
    await batch.send()
    const error = email.result.notCreated?.['message'] ?? submission.result.notCreated?.['send']
    if (error) throw new Refused(error.type, error.description)
  } catch (fault) {
    const id = email.failed ? undefined : safeId(() => email.result.created?.['message']?.id)
    return hasFailed(composer, fault, id)
  }
  const emailId = email.result.created?.['message']?.id ?? ''
  const submissionId = submission.result.created?.['send']?.id ?? ''
  const marked = markAnswered(composer)
  replaceBy(composer, undefined)
  await end(composer)
  const kept = draftOf(composer)
  const seconds = undoSeconds()
  const note = notify(when ? t('compose.scheduled', { when: nearDate(when) }) : t('compose.sent'), {
    seconds,
    action: { label: t('compose.undo-send'), run: () => takeBack(submissionId, emailId, kept, marked) },
  })
  setTimeout(() => dismiss(note), seconds * 1000)
  return true
}

/** Note of the message that it answers or passes on that this was done; returns how to take that back. */
async function markAnswered(draft: Draft): Promise<() => void> {
  const { answers = await answeredBy(draft) } = draft
  if (!answers) return () => {}
  const store = shared.get(answers.accountId ?? '') ?? mail
  const back = store.change({ [answers.id]: { [at('keywords', answers.keyword)]: true } })
  return () => void store.change(back)
}

/** It has left: the window closes, and what was kept of it goes, here and at the server. */
async function end(composer: Composer): Promise<void> {
  composer.over = true
  closeComposer(composer.key)
  const cleared = clear(composer).catch(() => {
    // It must not lie there as if it were unsent; this is kept until the server took it.
    const trash = mail.role('trash')?.id
    if (trash) mail.change(Object.fromEntries((composer.outdated ?? []).map((id) => [id, { mailboxIds: { [trash]: true } }])))
  })
  await forgetHere(composer.key)
  void cleared.then(() => mail.sync())
}

/** What `sendEmail` needs beside the message. */
export interface Sending {
  identityId: Id
  to: string[]
  /** The note when it is on its way, and what its undo does beside. */
  said: string
  undone: () => void
}
/** Send a message that no window wrote: it lies in Sent, and can be taken back for `undoSeconds`. Says when it fails. */
export async function sendEmail(message: Record<string, unknown>, { identityId, to, said, undone }: Sending): Promise<boolean> {
  const seconds = undoSeconds()
  const batch = mail.client.batch()
  const sent = mail.role('sent')?.id ?? ''
  const email = batch.set<Email>('Email', { create: { message: { ...message, mailboxIds: { [sent]: true }, keywords: { $seen: true }, sentAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z') } } })
  const submission = batch.set<EmailSubmission>('EmailSubmission', { create: { send: { emailId: '#message', identityId, envelope: envelopeOf(identityId, to, seconds) } } })
  try {
    await batch.send()
    const error = email.result.notCreated?.['message'] ?? submission.result.notCreated?.['send']
    if (error) throw new Refused(error.type, error.description)
  } catch (fault) {
    const id = email.failed ? undefined : safeId(() => email.result.created?.['message']?.id)
    if (id) await destroy(id)
    mail.meet(fault)
    trouble(t('compose.send-failed', { why: fault instanceof Unreachable ? t('state.unreachable') : fault instanceof Error ? fault.message : '' }))
    return false
  }
  const [emailId, submissionId] = [email.result.created?.['message']?.id ?? '', submission.result.created?.['send']?.id ?? '']
  void mail.sync()
  notify(said, {
    seconds,
    action: {
      label: t('compose.undo-send'),
      run: async () => {
        if (!(await cancel(submissionId, emailId))) return void trouble(t('compose.too-late'))
        await destroy(emailId)
        undone()
      },
    },
  })
  return true
}
async function destroy(id: Id): Promise<void> {
  const batch = mail.client.batch()
  batch.set('Email', { destroy: [id] })
  await batch.send().catch((fault: unknown) => mail.meet(fault))
  await mail.sync()
}

/** The window stays, and what is in it is kept here; when no answer came, it may have left all the same. */
async function hasFailed(composer: Composer, fault: unknown, emailId: Id | undefined): Promise<boolean> {
  composer.sending = false
  composer.saved = 'changed'
  if (emailId) replaceBy(composer, emailId)
  if (fault instanceof Unreachable) composer.uncertain = true
  await keepNow(composer)
  trouble(t('compose.send-failed', { why: fault instanceof Unreachable ? t('state.unreachable') : fault instanceof Error ? fault.message : '' }))
  mail.meet(fault)
  return false
}

/** Whether the sending that got no answer was done; what it only saved is taken as the draft. */
async function hasLeft(composer: Composer): Promise<boolean> {
  try {
    const { sent, saved } = await traceOf(composer)
    for (const id of saved) replaceBy(composer, id)
    if (!sent) return false
  } catch (fault) {
    return hasFailed(composer, fault, undefined)
  }
  void markAnswered(composer)
  replaceBy(composer, undefined)
  await end(composer)
  notify(t('compose.was-sent'))
  return true
}

// --- without a connection ---------------------------------------------------------------------------------

async function putOff(composer: Composer, when: Date | undefined): Promise<boolean> {
  composer.putOff = when ? { at: when.getTime() } : {}
  composer.sending = false
  if (!(await keepNow(composer))) {
    delete composer.putOff
    trouble(t('compose.send-failed', { why: t('state.unreachable') }))
    return false
  }
  closeComposer(composer.key)
  notify(t('compose.put-off'))
  return true
}

/** Send what was put off; what the server refuses opens again. */
export async function sendPutOff(): Promise<void> {
  for (const { putOff, ...draft } of await keptDrafts()) {
    if (!putOff || !mail.online) continue
    const refused = await withKept(draft.key, async () => {
      const still = (await mail.cache.draft(draft.key)) as Draft | undefined
      if (!still?.putOff) return undefined // another window has sent it, or has it open, since we looked
      const composer: Composer = { ...draft, window: 'folded', saved: 'failed', showCc: false, sending: false, over: false }
      const when = putOff.at !== undefined && putOff.at > Date.now() ? new Date(putOff.at) : undefined
      if (await send(composer, when)) return undefined
      if (mail.online) return draftOf(composer)
      await keepNow({ ...draftOf(composer), putOff }) // lost again on the way
      return undefined
    })
    if (refused) openComposer({ ...refused, unsaved: true })
  }
}

function safeId(read: () => Id | undefined): Id | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function envelope(draft: Draft, when: Date | undefined): Record<string, unknown> {
  const seconds = when ? Math.max(0, Math.round((when.getTime() - Date.now()) / 1000)) : undoSeconds()
  return envelopeOf(draft.identityId, everybody(draft).map(({ email }) => email), seconds)
}
/** Seconds that the server holds a message at most (RFC 8621 §1.3.2). */
export function longestHold(): number {
  const longest = mail.client.session.accounts[mail.client.accountId]?.accountCapabilities[SUBMISSION]?.['maxDelayedSend']
  return typeof longest === 'number' ? longest : 0
}
/** RFC 8621 §7.1: the envelope's parameters are SMTP's; HOLDFOR counts seconds. */
function envelopeOf(identityId: Id, to: string[], seconds: number): Record<string, unknown> {
  const identity = mail.identities.find((each) => each.id === identityId)
  const longest = longestHold()
  const held = longest > 0 ? { HOLDFOR: String(Math.min(seconds, longest)) } : null
  const addresses = [...new Map(to.map((email) => [email.toLowerCase(), email])).values()]
  return { mailFrom: { email: identity?.email ?? '', parameters: held }, rcptTo: addresses.map((email) => ({ email, parameters: null })) }
}

/** Stop a message that is still held; it becomes a draft again. Whether it was in time. */
export async function cancel(submissionId: Id, emailId: Id): Promise<boolean> {
  const batch = mail.client.batch()
  const set = batch.set('EmailSubmission', { update: { [submissionId]: { undoStatus: 'canceled' } } })
  try {
    await batch.send()
    if (set.result.notUpdated?.[submissionId]) return false
  } catch (fault) {
    mail.meet(fault)
    return false
  }
  const drafts = mail.role('drafts')?.id ?? ''
  // It was one before it was handed in, and nothing else may have been heard of it.
  mail.change({ [emailId]: { mailboxIds: { [drafts]: true }, [at('keywords', '$draft')]: true } }, true)
  return true
}
async function takeBack(submissionId: Id, emailId: Id, draft: Draft, marked: Promise<() => void>): Promise<void> {
  if (!(await cancel(submissionId, emailId))) return void trouble(t('compose.too-late'))
  ;(await marked)()
  openComposer({ ...draft, key: crypto.randomUUID(), emailId })
  notify(t('compose.undone'))
}
