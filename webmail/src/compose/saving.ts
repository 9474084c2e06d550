// Drafts on the server: each save makes the message anew, and destroys the one before once that is there: a save that the server
// refuses (no room, a file that it no longer has) costs nothing of what it had.
import { Refused } from '../jmap/client'
import type { Email, Id } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import { draftOf, isEmpty, type Composer, type Draft } from './composers.svelte'
import { forgetHere, keepNow } from './keeping'
import { newEmail } from './message'

const waiting = new Map<string, Promise<void>>()

/** Save what the window holds. Saves of one window follow each other; what the server does not take is kept here. */
export function save(composer: Composer): Promise<void> {
  const before = waiting.get(composer.key) ?? Promise.resolve()
  const saving = before.catch(() => undefined).then(() => saveNow(composer)) // one that failed ends no others
  waiting.set(composer.key, saving)
  return saving
}

async function saveNow(composer: Composer): Promise<void> {
  if (composer.over || composer.saved === 'saved' || (isEmpty(composer) && !composer.emailId)) return
  composer.saved = 'saving'
  const batch = mail.client.batch()
  const set = batch.set<Email>('Email', { create: { draft: newEmail(composer) } })
  try {
    await batch.send()
    const error = set.result.notCreated?.['draft']
    if (error) throw new Refused(error.type, error.description)
    const made = set.result.created?.['draft']
    if (made) replaceBy(composer, made.id)
    await clear(composer)
    if ((composer.saved as string) === 'saving') composer.saved = 'saved'
    composer.savedAt = new Date()
    if ((composer.saved as string) === 'saved') await forgetHere(composer.key)
  } catch (fault) {
    composer.saved = 'failed'
    await keepNow(composer)
    mail.meet(fault)
  }
}

/** The server has it as another message now; undefined: it is a draft no longer. */
export function replaceBy(composer: Draft, id: Id | undefined): void {
  composer.outdated = [...(composer.outdated ?? []), ...(composer.emailId ? [composer.emailId] : [])].filter((old) => old !== id)
  if (id) composer.emailId = id
  else delete composer.emailId
}
/** Destroy the drafts of before. What fails is done with the next save. */
export async function clear(composer: Draft): Promise<void> {
  const old = composer.outdated ?? []
  if (!old.length) return
  const batch = mail.client.batch()
  const set = batch.set('Email', { destroy: old })
  await batch.send()
  const left = old.filter((id) => set.result.notDestroyed?.[id] && set.result.notDestroyed[id].type !== 'notFound')
  composer.outdated = left
}

/** Drop the draft, here and at the server, also one that is just being saved; returns it as it was. */
export async function discard(composer: Composer): Promise<Draft> {
  composer.over = true
  await waiting.get(composer.key)?.catch(() => undefined)
  await forgetHere(composer.key)
  const trash = mail.role('trash')?.id
  if (composer.emailId && trash) mail.change({ [composer.emailId]: { mailboxIds: { [trash]: true } } })
  return draftOf(composer)
}
