// Drafts on the server: each save makes the message anew and destroys the one before, in one call, so that IMAP clients see one.
import { Refused } from '../jmap/client'
import type { Email } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import { isEmpty, type Composer, type Draft } from './composers.svelte'
import { forgetHere, keepNow } from './keeping'
import { newEmail } from './message'

const waiting = new Map<string, Promise<void>>()

/** Save what the window holds. Saves of one window follow each other; what the server does not take is kept here. */
export function save(composer: Composer): Promise<void> {
  const before = waiting.get(composer.key) ?? Promise.resolve()
  const saving = before.then(() => saveNow(composer))
  waiting.set(composer.key, saving)
  return saving
}

async function saveNow(composer: Composer): Promise<void> {
  if (composer.saved === 'saved' || (isEmpty(composer) && !composer.emailId)) return
  composer.saved = 'saving'
  const old = composer.emailId
  const batch = mail.client.batch()
  const set = batch.set<Email>('Email', { create: { draft: newEmail(composer) }, ...(old ? { destroy: [old] } : {}) })
  try {
    await batch.send()
    const error = set.result.notCreated?.['draft']
    if (error) throw new Refused(error.type, error.description)
    const made = set.result.created?.['draft']
    if (made) composer.emailId = made.id
    if ((composer.saved as string) === 'saving') composer.saved = 'saved'
    composer.savedAt = new Date()
    if ((composer.saved as string) === 'saved') await forgetHere(composer.key)
  } catch (fault) {
    composer.saved = 'failed'
    await keepNow(composer)
    mail.meet(fault)
  }
}

/** Drop the draft, here and at the server; returns it as it was. */
export async function discard(composer: Draft): Promise<void> {
  await waiting.get(composer.key)
  await forgetHere(composer.key)
  const trash = mail.role('trash')?.id
  if (composer.emailId && trash) mail.change({ [composer.emailId]: { mailboxIds: { [trash]: true } } })
}
